/* The C interface as a program in C sees it: compiled as C99, run by c_test.cc. */
#include <stddef.h>
#include <string.h>

#include "craftbundle/c.h"

/* Returns the number of events of a call; the last one is copied to `last`. */
int count_events(const char* operation, const char* options, char* last, size_t size) {
  craftbundle_host* host = craftbundle_host_new(NULL);
  craftbundle_call* call = craftbundle_start(host, operation, options);
  const char* event = NULL;
  int count = 0;
  while ((event = craftbundle_next(call, -1)) != NULL) {
    ++count;
    strncpy(last, event, size - 1);
    last[size - 1] = '\0';
  }
  craftbundle_call_free(call);
  craftbundle_host_free(host);
  return count;
}
