# cmake --install: programs, library, headers, plugins, and the package that find_package(bundlecraft) reads.
include(CMakePackageConfigHelpers)

set(BUNDLECRAFT_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/bundlecraft")

install(TARGETS bundlecraft bundlecraft_audiocraft_api EXPORT bundlecraft-targets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS bundlecraft_scan EXPORT bundlecraft-targets
        RUNTIME DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/bundlecraft")
install(TARGETS bundlecraft_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

get_property(layers GLOBAL PROPERTY BUNDLECRAFT_LAYERS)
foreach(layer IN LISTS layers)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/core/${layer}/include/bundlecraft" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES "${PROJECT_BINARY_DIR}/core/plugin/include/bundlecraft/plugin/interface_id.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/bundlecraft/plugin")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs")

install(EXPORT bundlecraft-targets NAMESPACE bundlecraft:: DESTINATION "${BUNDLECRAFT_CMAKE_DIR}")
configure_package_config_file(cmake/bundlecraft-config.cmake.in bundlecraft-config.cmake
  INSTALL_DESTINATION "${BUNDLECRAFT_CMAKE_DIR}")
# Host and plugins must match exactly (docs/writing_an_exporter.md), so does the package.
write_basic_package_version_file(bundlecraft-config-version.cmake COMPATIBILITY ExactVersion)
install(FILES "${PROJECT_BINARY_DIR}/bundlecraft-config.cmake" "${PROJECT_BINARY_DIR}/bundlecraft-config-version.cmake"
              cmake/BundlecraftPlugin.cmake
        DESTINATION "${BUNDLECRAFT_CMAKE_DIR}")
