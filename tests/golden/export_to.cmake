# For scripts that export golden sources: empties OUT, and
#   export_to(<name> <argument of craftbundle export>...)
# writes OUT/<name> with the program CRAFTBUNDLE, which must succeed.
file(REMOVE_RECURSE "${OUT}")
file(MAKE_DIRECTORY "${OUT}")

function(export_to name)
  execute_process(COMMAND "${CRAFTBUNDLE}" export ${ARGN} -o "${OUT}/${name}" --no-sync
                  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "export of ${ARGN} exited with ${result}:\n${output}")
  endif()
endfunction()
