# Exports that compute, and codecs as TorchScript, for the judges.
#   cmake -DCRAFTBUNDLE=<program> -DDATA=<tests/golden/data> -DOUT=<directory> -DCODECS=<bool> -P export_computed.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/export_to.cmake")

set(models musicgen_train.th musicgen_melody_train.th magnet_train.th encodec_exported.bin
    encodec_groupnorm_train.th encodec_causal_odd_train.th dac_weights.pth)
foreach(model IN LISTS models)
  export_to("plain/${model}" "${DATA}/${model}")
  foreach(type float16 bfloat16 float32)
    export_to("${type}/${model}" "${DATA}/${model}" --dtype ${type})
  endforeach()
endforeach()
export_to("rules/encodec_exported.bin" "${DATA}/encodec_exported.bin" --dtype float16
          --dtype-of "*.bias=float32,quantizer.*.embed=bfloat16")
foreach(model encodec_exported.bin encodec_causal_24khz_exported.bin encodec_outer_nonorm_exported.bin dac_weights.pth)
  export_to("plain/${model}" "${DATA}/${model}" --force)
  export_to("folded/${model}" "${DATA}/${model}" --fold-weight-norm)
endforeach()
export_to("folded16/encodec_exported.bin" "${DATA}/encodec_exported.bin" --fold-weight-norm --dtype float16)
# Best state, last state, and the mean of the two.
export_to("plain/last.bin" "${DATA}/musicgen_train.th" --state last)
export_to("averaged/musicgen_train.th" "${OUT}/plain/musicgen_train.th" --average "${OUT}/plain/last.bin")
export_to("averaged/in_float32.bin" "${OUT}/plain/musicgen_train.th" --average "${OUT}/plain/last.bin" --dtype float32)

if(CODECS)
  foreach(model dac_weights.pth encodec_exported.bin encodec_causal_24khz_exported.bin encodec_causal_odd_train.th
                encodec_groupnorm_train.th encodec_outer_nonorm_exported.bin encodec_renorm_exported.bin)
    string(REGEX REPLACE "_(weights|exported|train)[.].*$" "" name "${model}")
    export_to("torchscript/${name}.ts" "${DATA}/${model}" --layout torchscript)
    export_to("torchscript_again/${name}.ts" "${DATA}/${model}" --layout torchscript)
  endforeach()
endif()
