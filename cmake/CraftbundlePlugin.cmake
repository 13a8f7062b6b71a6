# craftbundle_add_plugin(<name> SOURCES file... [LIBRARIES target...] [OUTPUT_DIRECTORY dir] [NO_INSTALL])
#
# An exporter plugin: <name>.so, which exports its descriptor and nothing else, and <name>.plugin.yaml
# beside it, its description, written by craftbundle-scan. Works in Craftbundle's own tree and after
# find_package(craftbundle). See docs/writing_an_exporter.md.
#
# The pair is put into OUTPUT_DIRECTORY, by default CRAFTBUNDLE_PLUGIN_OUTPUT_DIRECTORY or else the
# current binary directory, and installed to <prefix>/<libdir>/craftbundle/plugins.
function(craftbundle_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL" "OUTPUT_DIRECTORY" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "craftbundle_add_plugin(${name}): expected SOURCES file..., got '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  set(directory "${arg_OUTPUT_DIRECTORY}")
  if(NOT directory)
    set(directory "${CRAFTBUNDLE_PLUGIN_OUTPUT_DIRECTORY}")
  endif()
  if(NOT directory)
    set(directory "${CMAKE_CURRENT_BINARY_DIR}")
  endif()

  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE craftbundle::craftbundle ${arg_LIBRARIES})
  if(TARGET craftbundle_settings)
    target_link_libraries(${name} PRIVATE craftbundle_settings)
  endif()
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so"
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY "${directory}"
    INSTALL_RPATH "$ORIGIN/../..")

  # One symbol, also of what comes in from static libraries.
  set(symbols "${CMAKE_CURRENT_BINARY_DIR}/${name}.symbols")
  file(WRITE "${symbols}" "{ global: craftbundle_plugin; local: *; };\n")
  target_link_options(${name} PRIVATE "LINKER:--version-script=${symbols}")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${symbols}")
  # A missing symbol is an error here, not when the plugin is loaded. The sanitizers' own symbols come
  # from the program, so there is no telling with them.
  if(NOT "${CRAFTBUNDLE_SANITIZE} ${CMAKE_CXX_FLAGS} ${CMAKE_MODULE_LINKER_FLAGS}" MATCHES "(address|thread|memory|undefined|fuzzer)")
    target_link_options(${name} PRIVATE "LINKER:-z,defs")
  endif()

  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND craftbundle::scan "$<TARGET_FILE:${name}>" -o "${directory}/${name}.plugin.yaml"
    BYPRODUCTS "${directory}/${name}.plugin.yaml"
    COMMENT "Describing plugin ${name}"
    VERBATIM)

  if(NOT arg_NO_INSTALL)
    set_property(GLOBAL APPEND PROPERTY CRAFTBUNDLE_OWN_PLUGINS ${name})
    include(GNUInstallDirs)
    install(TARGETS ${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/craftbundle/plugins")
    install(FILES "${directory}/${name}.plugin.yaml" DESTINATION "${CMAKE_INSTALL_LIBDIR}/craftbundle/plugins")
  endif()
endfunction()
