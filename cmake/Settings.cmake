# Warnings and sanitizers, as interface targets that are never exported.

add_library(bundlecraft_settings INTERFACE)
target_compile_options(bundlecraft_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wunused)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(bundlecraft_settings INTERFACE -Wduplicated-cond -Wlogical-op)
endif()
if(BUNDLECRAFT_WERROR)
  target_compile_options(bundlecraft_settings INTERFACE -Werror)
endif()
if(BUNDLECRAFT_SANITIZE)
  target_compile_options(bundlecraft_settings INTERFACE
    -fsanitize=${BUNDLECRAFT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(bundlecraft_settings INTERFACE -fsanitize=${BUNDLECRAFT_SANITIZE})
endif()
if(BUNDLECRAFT_SANITIZE MATCHES "thread")
  # ThreadSanitizer cannot follow stand-alone fences, and g++ warns of each. Asio's queue of tasks
  # is ordered by its mutex; the fences are for handlers that come from outside of it.
  target_compile_definitions(bundlecraft_settings INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
