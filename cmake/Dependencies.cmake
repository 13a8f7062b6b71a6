# Third-party libraries, found once for the whole tree (imported targets are visible below this folder only).

# pip shows what CMake says when it fails, as it does without one of these.
if(SKBUILD)
  file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/packages-build.txt" needed)
  file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/packages-wheel.txt" static)
  list(REMOVE_ITEM needed libtorch-dev)
  list(JOIN needed " " needed)
  list(JOIN static " " static)
  message(STATUS "Libraries come from the system. On Debian 12: apt-get install ${needed} ${static}")
endif()

# Boost's own package, not the module that CMake used to bring.
if(POLICY CMP0167)
  cmake_policy(SET CMP0167 NEW)
endif()
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# Self-contained: libraries in C become part of libcraftbundle, hidden, so that no other copy in a process (Python's OpenSSL,
# say) meets them, and of libarchive only the formats that are written (the shared one brings libxml2 and ICU). Debian's
# static libraries in C++ cannot be linked into a shared one: SelfContained.cmake copies these.
if(CRAFTBUNDLE_SELF_CONTAINED)
  set(shared_suffixes ${CMAKE_FIND_LIBRARY_SUFFIXES})
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  set(OPENSSL_USE_STATIC_LIBS ON)
endif()
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
find_package(LibArchive 3.4 REQUIRED)
if(CRAFTBUNDLE_SELF_CONTAINED)
  foreach(library zstd z nettle)
    find_library(CRAFTBUNDLE_STATIC_${library} ${library} REQUIRED)
    target_link_libraries(LibArchive::LibArchive INTERFACE "${CRAFTBUNDLE_STATIC_${library}}")
  endforeach()
  foreach(library "${OPENSSL_CRYPTO_LIBRARY}" "${pkgcfg_lib_libdeflate_deflate}" "${LibArchive_LIBRARY}")
    if(NOT library MATCHES "\\.a$")
      message(FATAL_ERROR "${library} is no static library: configure anew (cmake --fresh), this folder was not self-contained")
    endif()
  endforeach()
  set(CMAKE_FIND_LIBRARY_SUFFIXES ${shared_suffixes})
endif()
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
