# Installs the build into an empty prefix, then does what a third party does: builds the example plugin and
# the example program against the installed package, lists the plugin, exports with both.
#   cmake -DBUILD_DIR=... -DSOURCE_DIR=... -DWORK_DIR=... -DCXX=... -DSANITIZE=... -DCODECS=... -DDOCDIR=... -P run.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nexited with ${result}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The command ends with this exit code.
function(fail code)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL code)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nexited with ${result}, not ${code}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect_output pattern)
  if(NOT output MATCHES "${pattern}")
    message(FATAL_ERROR "expected output matching '${pattern}', got:\n${output}")
  endif()
endfunction()

function(expect_file file)
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${file} was not written")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
set(prefix "${WORK_DIR}/prefix")
set(data "${SOURCE_DIR}/tests/golden/data")
run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${prefix}")

run("${CMAKE_COMMAND}" "-DINCLUDE_DIR=${prefix}/include" "-DCXX=${CXX}" "-DWORK_DIR=${WORK_DIR}"
    -P "${CMAKE_CURRENT_LIST_DIR}/check_headers.cmake")

# No link of the installed pages is dead.
run(/usr/bin/python3 "${CMAKE_CURRENT_LIST_DIR}/check_links.py" "${prefix}/${DOCDIR}")
expect_file("${prefix}/${DOCDIR}/examples/runs/first.yaml")

# The examples, as they are installed, and a codec in LibTorch, out of the tree, so that nothing of it can leak in.
file(COPY "${prefix}/${DOCDIR}/examples/plugin" "${prefix}/${DOCDIR}/examples/library"
          "${CMAKE_CURRENT_LIST_DIR}/torch_codec" DESTINATION "${WORK_DIR}/source")
set(projects plugin library)
if(CODECS)
  list(APPEND projects torch_codec)
endif()
foreach(example IN LISTS projects)
  run("${CMAKE_COMMAND}" -S "${WORK_DIR}/source/${example}" -B "${WORK_DIR}/${example}" -G Ninja
      "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release
      "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror ${SANITIZE}")
  # find_package() is quiet, with each CMake.
  if(output MATCHES "CMake [A-Za-z ]*Warning")
    message(FATAL_ERROR "configuring ${example} warns:\n${output}")
  endif()
  run("${CMAKE_COMMAND}" --build "${WORK_DIR}/${example}")
endforeach()

# Where shells and man look.
foreach(file bash-completion/completions/craftbundle zsh/site-functions/_craftbundle
             fish/vendor_completions.d/craftbundle.fish man/man1/craftbundle.1)
  expect_file("${prefix}/share/${file}")
  file(SIZE "${prefix}/share/${file}" size)
  if(size EQUAL 0)
    message(FATAL_ERROR "${file} is empty")
  endif()
endforeach()

set(craftbundle "${prefix}/bin/craftbundle")
run("${craftbundle}" plugins list)
expect_output("encodec")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" plugins list)
expect_output("mulaw")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" plugins info mulaw)
expect_output("Sample rate in Hz")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" export "${SOURCE_DIR}/tests/install/mulaw.pt"
    -o "${WORK_DIR}/mulaw.bin")
expect_file("${WORK_DIR}/mulaw.bin")
run("${craftbundle}" inspect "${WORK_DIR}/mulaw.bin")
expect_output("levels")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" verify "${WORK_DIR}/mulaw.bin" --run -o "${WORK_DIR}/mulaw.wav")
expect_output("1 tensor of best_state has the name and shape")
expect_output("computed by +a table on cpu")
expect_output("SI-SNR +33\\.")
expect_output("verified: [0-9]+ checks hold")
expect_file("${WORK_DIR}/mulaw.wav")
fail(2 "${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" export "${WORK_DIR}/mulaw.bin" --layout torchscript
     -o "${WORK_DIR}/mulaw.ts")
expect_output("no network to save as a program")
# Its exporter takes what another layout made of its codec.
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" bundle --compression "${WORK_DIR}/mulaw.bin" --layout safetensors
    -o "${WORK_DIR}/mulaw")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" convert "${WORK_DIR}/mulaw" --layout audiocraft -o "${WORK_DIR}/again")
file(SHA256 "${WORK_DIR}/mulaw.bin" before)
file(SHA256 "${WORK_DIR}/again/compression_state_dict.bin" after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "mulaw.bin is not the same again")
endif()
run("${craftbundle}" plugins check "${WORK_DIR}/plugin/mulaw.so" "${SOURCE_DIR}/tests/install/mulaw.pt" "${WORK_DIR}/mulaw.bin")
expect_output("ok +codecs: load\\(\\) makes a codec")
expect_output("ok +stages: run\\(\\) of a stage does its work")
expect_output("ok +layouts: plan\\(\\) gives files")
expect_output("ok +quiet: Nothing is printed")
# A layout of the plugin with a language model of ours, and a transform with a codec of the plugin.
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" export "${data}/musicgen_train.th" --layout plain
    -o "${WORK_DIR}/plain")
expect_output("lm/weights.pt")
expect_file("${WORK_DIR}/plain/lm/weights.pt")
expect_file("${WORK_DIR}/plain/lm/config.yaml")
expect_file("${WORK_DIR}/plain/bundle.json")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" export "${SOURCE_DIR}/tests/install/mulaw.pt" --dtype float16
    -o "${WORK_DIR}/half.bin")
expect_output("1 tensor is float16 as asked for")
file(WRITE "${WORK_DIR}/table.yaml" "version: 1
stages:
  codec: {export: ${SOURCE_DIR}/tests/install/mulaw.pt, to: run.bin}
  table: {tensor-table: codec, to: table.csv, options: {separator: ';'}}
")
run("${craftbundle}" --plugin-dir "${WORK_DIR}/plugin" run "${WORK_DIR}/table.yaml")
file(READ "${WORK_DIR}/table.csv" output)
expect_output("^name.dtype.shape.bytes\nbest_state.levels.float32.[^\n]*\n$")

# The example passes the test that it has, and so does each project that is made of it.
run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK_DIR}/plugin" --output-on-failure)
run("${craftbundle}" plugins new least -o "${WORK_DIR}/source/least")
run("${craftbundle}" plugins new snac_24khz --codec --layout --stage -o "${WORK_DIR}/source/snac_24khz")
foreach(name least snac_24khz)
  run("${CMAKE_COMMAND}" -S "${WORK_DIR}/source/${name}" -B "${WORK_DIR}/${name}" -G Ninja
      "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror ${SANITIZE}")
  run("${CMAKE_COMMAND}" --build "${WORK_DIR}/${name}")
  run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK_DIR}/${name}" --output-on-failure)
endforeach()
# Beside each other, and beside the example.
run("${craftbundle}" --plugin-dir "${WORK_DIR}/least" --plugin-dir "${WORK_DIR}/snac_24khz" --plugin-dir "${WORK_DIR}/plugin"
    plugins list --json)
expect_output("\"refused\": \\[\\]")

run("${WORK_DIR}/library/export_models" "${data}/musicgen_train.th" facebook/encodec_32khz "${WORK_DIR}/models")
expect_file("${WORK_DIR}/models/state_dict.bin")
expect_file("${WORK_DIR}/models/compression_state_dict.bin")
run("${craftbundle}" inspect "${WORK_DIR}/models/compression_state_dict.bin")
expect_output("facebook/encodec_32khz")
run("${WORK_DIR}/library/make_bundle" "${data}/musicgen_train.th" "${data}/encodec_train.th" "${WORK_DIR}/made")
expect_output("state_dict\\.bin.*agrees +codebooks.*lm\\.safetensors")
expect_file("${WORK_DIR}/made/model/bundle.json")
expect_file("${WORK_DIR}/made/model_safetensors/compression.safetensors")
if(CODECS)
  run("${craftbundle}" --plugin-dir "${WORK_DIR}/torch_codec" verify "${SOURCE_DIR}/tests/install/mulaw.pt"
      --run --seconds 12)
  expect_output("computed by +LibTorch")
  expect_output("a code for 2, 1 of them")
  run("${prefix}/libexec/craftbundle/craftbundle-scan" --check "${WORK_DIR}/torch_codec/pool.so"
      --source "${SOURCE_DIR}/tests/install/mulaw.pt")
  expect_output("ok +codecs: load\\(\\) makes a codec")
  run("${WORK_DIR}/library/run_codec" "${data}/encodec_train.th" 2)
  expect_output("4 x 50 codes.*100 frames, SI-SNR")
endif()
message(STATUS "the installed package works")
