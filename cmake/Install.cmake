# cmake --install: programs, library, headers, plugins, and the package that find_package(craftbundle) reads.
include(CMakePackageConfigHelpers)

set(CRAFTBUNDLE_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/craftbundle")

install(TARGETS craftbundle craftbundle_audiocraft_api EXPORT craftbundle-targets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS craftbundle_scan EXPORT craftbundle-targets
        RUNTIME DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/craftbundle")
install(TARGETS craftbundle_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

get_property(layers GLOBAL PROPERTY CRAFTBUNDLE_LAYERS)
foreach(layer IN LISTS layers)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/core/${layer}/include/craftbundle" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES "${PROJECT_BINARY_DIR}/core/plugin/include/craftbundle/plugin/interface_id.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/craftbundle/plugin")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs")

install(EXPORT craftbundle-targets NAMESPACE craftbundle:: DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
configure_package_config_file(cmake/craftbundle-config.cmake.in craftbundle-config.cmake
  INSTALL_DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
# Host and plugins must match exactly (docs/writing_an_exporter.md), so does the package.
write_basic_package_version_file(craftbundle-config-version.cmake COMPATIBILITY ExactVersion)
install(FILES "${PROJECT_BINARY_DIR}/craftbundle-config.cmake" "${PROJECT_BINARY_DIR}/craftbundle-config-version.cmake"
              cmake/CraftbundlePlugin.cmake
        DESTINATION "${CRAFTBUNDLE_CMAKE_DIR}")
