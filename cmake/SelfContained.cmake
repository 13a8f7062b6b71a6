# CRAFTBUNDLE_SELF_CONTAINED: libcraftbundle, its program and its plugins need nothing of the system but libc, libm, libstdc++
# and libgcc_s. Libraries in C are part of libcraftbundle (Dependencies.cmake); those in C++, and what the program alone needs,
# are copied to <libdir>/craftbundle.

# Nothing is installed as a link, of which wheels know none: libraries have the one name that the linker records.
set(CRAFTBUNDLE_NAMELINK NAMELINK_SKIP PARENT_SCOPE)
set_target_properties(craftbundle PROPERTIES VERSION 0 INSTALL_RPATH "$ORIGIN/craftbundle")

add_library(craftbundle_older_systems STATIC "${PROJECT_SOURCE_DIR}/cmake/older_systems.cc")
target_link_libraries(craftbundle_older_systems PRIVATE craftbundle_settings)
target_link_libraries(craftbundle PRIVATE craftbundle_older_systems)
# Without --gc-sections parts of libarchive would stay that nothing calls, and their needs with them.
target_link_options(craftbundle PRIVATE LINKER:--exclude-libs,ALL LINKER:--gc-sections LINKER:-z,defs)

# Once all targets are there.
function(craftbundle_install_dependencies)
  set_target_properties(craftbundle_audiocraft_api PROPERTIES VERSION 0)
  set(copies "${CMAKE_INSTALL_FULL_LIBDIR}/craftbundle")
  file(RELATIVE_PATH from_bin "${CMAKE_INSTALL_FULL_BINDIR}" "${copies}")
  file(RELATIVE_PATH from_libexec "${CMAKE_INSTALL_FULL_LIBEXECDIR}/craftbundle" "${copies}")
  set_property(TARGET craftbundle_app APPEND PROPERTY INSTALL_RPATH "$ORIGIN/${from_bin}")
  set_property(TARGET craftbundle_scan APPEND PROPERTY INSTALL_RPATH "$ORIGIN/${from_libexec}")
  set_property(TARGET craftbundle_audiocraft_api APPEND PROPERTY INSTALL_RPATH "$ORIGIN/craftbundle")
  get_property(plugins GLOBAL PROPERTY CRAFTBUNDLE_OWN_PLUGINS)
  foreach(plugin IN LISTS plugins)
    set_property(TARGET ${plugin} APPEND PROPERTY INSTALL_RPATH "$ORIGIN/..")
  endforeach()
  # Those of libsndfile are found through the program: a RUNPATH is not inherited.
  target_link_options(craftbundle_app PRIVATE LINKER:--disable-new-dtags)
  target_link_libraries(craftbundle_app PRIVATE craftbundle_older_systems)

  install(CODE "
    file(GET_RUNTIME_DEPENDENCIES RESOLVED_DEPENDENCIES_VAR libraries
      EXECUTABLES \"$<TARGET_FILE:craftbundle_app>\" LIBRARIES \"$<TARGET_FILE:craftbundle>\"
      PRE_EXCLUDE_REGEXES [[^(ld-linux|libcraftbundle|lib(c|m|stdc\\+\\+|gcc_s)\\.)]])
    set(directory \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/craftbundle\")
    file(MAKE_DIRECTORY \"\${directory}\")
    foreach(library IN LISTS libraries)
      get_filename_component(name \"\${library}\" NAME)
      message(STATUS \"Installing: \${directory}/\${name}\")
      file(COPY_FILE \"\${library}\" \"\${directory}/\${name}\" ONLY_IF_DIFFERENT)
    endforeach()")
endfunction()
