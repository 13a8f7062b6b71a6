# A layer of core: one folder, one object library craftbundle_<name>, public headers under
# include/craftbundle/<name>/. The library `craftbundle` is made of all layers.
#
#   craftbundle_add_layer(<name> SOURCES file... [LAYERS lower...] [LIBRARIES private...])
#
# LAYERS names the layers whose headers this one may include, all of them lower in the picture of
# docs/design.md. tests/layering holds the includes against it.
function(craftbundle_add_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LAYERS;LIBRARIES;PUBLIC_LIBRARIES")
  set(target craftbundle_${name})
  add_library(${target} OBJECT ${arg_SOURCES})
  target_include_directories(${target} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include" PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  foreach(layer IN LISTS arg_LAYERS)
    target_link_libraries(${target} PUBLIC craftbundle_${layer})
  endforeach()
  # What the public headers declare is exported (base/export.h), nothing else. clang asks the last part of
  # a namespace that it has seen, which is that of the source file: there everything is exported.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  endif()
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC_LIBRARIES} PRIVATE ${arg_LIBRARIES} craftbundle_settings)
  set_property(GLOBAL APPEND PROPERTY CRAFTBUNDLE_LAYERS ${name})
endfunction()
