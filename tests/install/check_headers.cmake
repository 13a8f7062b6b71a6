# What is installed is the front door and what that reaches, and each header of it compiles alone. Run as
#   cmake -DINCLUDE_DIR=<prefix>/include -DCXX=... -DWORK_DIR=... -P check_headers.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/Headers.cmake")

set(front_door craftbundle/c.h craftbundle/checkpoint.h craftbundle/codec.h craftbundle/craftbundle.h craftbundle/error.h craftbundle/plugin.h)
set(for_audiocraft craftbundle/audiocraft.h craftbundle/audiocraft_rules.h)
# Where codecs can be run.
if(EXISTS "${INCLUDE_DIR}/craftbundle/torch_network.h")
  list(APPEND for_audiocraft craftbundle/torch_network.h)
endif()

file(GLOB_RECURSE installed RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*")
craftbundle_reached_headers(reached "${INCLUDE_DIR}" ${front_door} ${for_audiocraft})
list(SORT installed)
if(NOT installed STREQUAL reached)
  message(FATAL_ERROR "installed:\n  ${installed}\nthe front door reaches:\n  ${reached}")
endif()
# Beside those that users name there are only folders.
file(GLOB named RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/craftbundle/*.h")
set(all ${front_door} ${for_audiocraft})
list(SORT all)
list(SORT named)
if(NOT named STREQUAL all)
  message(FATAL_ERROR "directly under craftbundle/ lie ${named}, expected ${all}")
endif()

foreach(header IN LISTS all)
  file(WRITE "${WORK_DIR}/alone.cc" "#include \"${header}\"\n")
  execute_process(COMMAND "${CXX}" -std=c++20 -Wall -Wextra -Werror -fsyntax-only "-I${INCLUDE_DIR}" "${WORK_DIR}/alone.cc"
    RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${header} does not compile alone:\n${errors}")
  endif()
endforeach()
list(LENGTH installed count)
message(STATUS "${count} headers are installed, all of them reached")
