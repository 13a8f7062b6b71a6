# Third-party libraries, found once for the whole tree (imported targets are visible below this folder only).

# Boost's own package, not the module that CMake used to bring.
if(POLICY CMP0167)
  cmake_policy(SET CMP0167 NEW)
endif()
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
find_package(LibArchive 3.4 REQUIRED)
find_package(Threads REQUIRED)
# Only what runs codecs (plugins/support/torch). Link the target `torch`: TORCH_LIBRARIES of one LibTorch names files of
# another that is installed beside it.
if(CRAFTBUNDLE_TORCH)
  find_package(Torch 1.13 QUIET)
endif()
if(Torch_FOUND AND CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND Torch_VERSION VERSION_LESS 2)
  message(STATUS "The headers of LibTorch ${Torch_VERSION} are no C++20 that clang takes: it is left out")
  set(Torch_FOUND FALSE)
endif()

# yaml-cpp 0.8 exports a namespaced target, 0.7 a plain one.
if(TARGET yaml-cpp::yaml-cpp)
  set(CRAFTBUNDLE_YAML_CPP yaml-cpp::yaml-cpp)
else()
  set(CRAFTBUNDLE_YAML_CPP yaml-cpp)
endif()
