# Warnings and sanitizers, as interface targets that are never exported.

add_library(craftbundle_settings INTERFACE)
target_compile_options(craftbundle_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wunused)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(craftbundle_settings INTERFACE -Wduplicated-cond -Wlogical-op)
endif()
# What the dynamic linker has filled in cannot be written again.
target_link_options(craftbundle_settings INTERFACE LINKER:-z,relro)
if(CRAFTBUNDLE_WERROR)
  target_compile_options(craftbundle_settings INTERFACE -Werror)
endif()
if(CRAFTBUNDLE_SANITIZE)
  target_compile_options(craftbundle_settings INTERFACE
    -fsanitize=${CRAFTBUNDLE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # Sanitizers look at what is done, not how fast; instrumented code takes long to optimise.
    # Fuzzing is the exception: there speed is coverage.
    $<IF:$<BOOL:${CRAFTBUNDLE_FUZZ}>,-O1,-O0> -g1)
  target_link_options(craftbundle_settings INTERFACE -fsanitize=${CRAFTBUNDLE_SANITIZE})
endif()
if(CRAFTBUNDLE_SANITIZE MATCHES "thread")
  # ThreadSanitizer cannot follow stand-alone fences, and g++ warns of each. Asio's queue of tasks
  # is ordered by its mutex; the fences are for handlers that come from outside of it.
  target_compile_definitions(craftbundle_settings INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
