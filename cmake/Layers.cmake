# A layer of core: one folder, one object library bundlecraft_<name>, public headers under
# include/bundlecraft/<name>/. The library `bundlecraft` is made of all layers.
#
#   bundlecraft_add_layer(<name> SOURCES file... [LAYERS lower...] [LIBRARIES private...])
#
# LAYERS names the layers whose headers this one may include, all of them lower in the picture of
# docs/design.md. tests/layering holds the includes against it.
function(bundlecraft_add_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LAYERS;LIBRARIES;PUBLIC_LIBRARIES")
  set(target bundlecraft_${name})
  add_library(${target} OBJECT ${arg_SOURCES})
  target_include_directories(${target} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include" PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  foreach(layer IN LISTS arg_LAYERS)
    target_link_libraries(${target} PUBLIC bundlecraft_${layer})
  endforeach()
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC_LIBRARIES} PRIVATE ${arg_LIBRARIES} bundlecraft_settings)
  set_property(GLOBAL APPEND PROPERTY BUNDLECRAFT_LAYERS ${name})
endfunction()
