# Exports every golden source with the program, for the judges.
#   cmake -DCRAFTBUNDLE=<program> -DDATA=<tests/golden/data> -DOUT=<directory> -P export_all.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/export_to.cmake")

# <name>.bin is judged by <name>_exported.json and .yaml.
file(GLOB trained RELATIVE "${DATA}" "${DATA}/*_train.th")
list(LENGTH trained count)
if(count LESS 19)
  message(FATAL_ERROR "only ${count} training checkpoints in ${DATA}")
endif()
foreach(file IN LISTS trained)
  string(REPLACE "_train.th" "" name "${file}")
  if(NOT name STREQUAL "musicgen_fsdp_rank1")  # refused: see the transcripts
    export_to("${name}.bin" "${DATA}/${file}")
  endif()
endforeach()

# Files that were exported already pass through.
foreach(name encodec encodec_causal_24khz encodec_renorm encodec_outer_nonorm jasco)
  file(MAKE_DIRECTORY "${OUT}/again")
  export_to("again/${name}.bin" "${DATA}/${name}_exported.bin")
endforeach()
export_to("pretrained_encodec_32khz.bin" facebook/encodec_32khz)
export_to("pretrained_dac_44khz.bin" dac_44khz)
export_to("dac_weights.bin" "${DATA}/dac_weights.pth")
