# cmake --install: programs, library, headers, plugins, and the package that find_package(craftbundle) reads.
include(CMakePackageConfigHelpers)

set(CRAFTBUNDLE_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/craftbundle")

install(TARGETS craftbundle craftbundle_audiocraft_api craftbundle_audiocraft_rules EXPORT craftbundle-targets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ${CRAFTBUNDLE_NAMELINK} ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS craftbundle_scan EXPORT craftbundle-targets
        RUNTIME DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/craftbundle")
# A set of its own: only who asks for the component `torch` needs LibTorch.
set(torch_folders "")
set(torch_headers "")
if(TARGET craftbundle_torch)
  install(TARGETS craftbundle_torch EXPORT craftbundle-torch-targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT craftbundle-torch-targets NAMESPACE craftbundle:: DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
  set(torch_folders ../plugins/support/torch)
  set(torch_headers torch_network)
endif()
install(TARGETS craftbundle_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# The headers that users include, and what these include in turn. No others are installed.
include(Headers)
set(front_door c checkpoint codec craftbundle error plugin audiocraft audiocraft_rules ${torch_headers})
list(TRANSFORM front_door REPLACE "(.+)" "craftbundle/\\1.h")
set(directories "${PROJECT_BINARY_DIR}/core/plugin/include")
get_property(layers GLOBAL PROPERTY CRAFTBUNDLE_LAYERS)
foreach(folder IN LISTS layers ITEMS ../plugins/support/audiocraft ../plugins/support/audiocraft_api ${torch_folders})
  list(APPEND directories "${PROJECT_SOURCE_DIR}/core/${folder}/include")
endforeach()
craftbundle_reached_headers(headers "${directories}" ${front_door})
foreach(header file IN ZIP_LISTS headers headers_FILES)
  get_filename_component(folder "${header}" DIRECTORY)
  install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/${folder}")
endforeach()
# Documentation, whose links lead to what is installed, and the examples it speaks of.
include(InstallDocs)
craftbundle_install_docs("" "${headers}" README.md CHANGELOG.md)
craftbundle_install_docs("/docs" "${headers}" docs/*.md)
craftbundle_install_docs("/examples" "${headers}" examples/*.md)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs" PATTERN "*.md" EXCLUDE PATTERN site EXCLUDE)
install(DIRECTORY examples/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples" USE_SOURCE_PERMISSIONS PATTERN "*.md" EXCLUDE)

install(EXPORT craftbundle-targets NAMESPACE craftbundle:: DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
configure_package_config_file(cmake/craftbundle-config.cmake.in craftbundle-config.cmake
  INSTALL_DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
# Host and plugins must match exactly (docs/writing_an_exporter.md), so does the package.
write_basic_package_version_file(craftbundle-config-version.cmake COMPATIBILITY ExactVersion)
install(FILES "${PROJECT_BINARY_DIR}/craftbundle-config.cmake" "${PROJECT_BINARY_DIR}/craftbundle-config-version.cmake"
              cmake/CraftbundlePlugin.cmake
        DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
if(CRAFTBUNDLE_SELF_CONTAINED)
  craftbundle_install_dependencies()
endif()
