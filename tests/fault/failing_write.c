// Preloaded into a program under test: makes the n-th of the calls that can lose data fail.
//
//   FAIL_CALL=N      which call fails, counted from 1 over all functions below
//   FAIL_ERRNO=28    with this errno (default ENOSPC)
//   FAIL_REPORT=FILE the number of counted calls is written there at exit
//
//   WATCH=DIR        before each call that gives, takes or flushes a name, a line is added to the
//   file
//                    WATCH_REPORT: the call, and the first byte of each of WATCH_FILES ("a:sub/b")
//                    in DIR, '-' for one that is not there
//   KILL_CALL=N      SIGKILL comes before the n-th of these calls
//
// Counted are calls on files that the program wants to keep: write, pwrite and fsync on regular
// files, copy_file_range, fallocate, ftruncate, rename, linkat, mkdir. Once a call failed, the
// following ones work again, so that clean-up is tested too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static int fails(void) {
  const char* wanted = getenv("FAIL_CALL");
  const long number = atomic_fetch_add(&calls, 1) + 1;
  if (wanted == NULL || atol(wanted) != number) return 0;
  const char* error = getenv("FAIL_ERRNO");
  errno = error != NULL ? atoi(error) : ENOSPC;
  return 1;
}

static int watched_calls;

// The files of one directory, whatever has its name by the end: it is opened once.
static void watch(const char* call) {
  const int error = errno;
  const char* killed = getenv("KILL_CALL");
  if (killed != NULL && atoi(killed) == ++watched_calls) kill(getpid(), SIGKILL);
  const char* directory = getenv("WATCH");
  const char* report = getenv("WATCH_REPORT");
  const char* names = getenv("WATCH_FILES");
  if (directory == NULL || report == NULL || names == NULL) return;
  char line[256] = "";
  size_t length = 0;
  const int root = open(directory, O_PATH | O_DIRECTORY);
  char* list = strdup(names);
  char* rest = list;
  for (char* name = strsep(&rest, ":"); name != NULL; name = strsep(&rest, ":")) {
    char first = '-';
    const int fd = root < 0 ? -1 : openat(root, name, O_RDONLY);
    if (fd >= 0 && read(fd, &first, 1) != 1) first = '?';
    if (fd >= 0) close(fd);
    if (length + 1 < sizeof line) line[length++] = first;
  }
  free(list);
  if (root >= 0) close(root);
  const int out = open(report, O_WRONLY | O_CREAT | O_APPEND, 0600);
  dprintf(out, "%s %s\n", call, line);
  close(out);
  errno = error;
}

static int is_regular(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

#define NEXT(result, name, ...)              \
  static result (*next)(__VA_ARGS__) = NULL; \
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void* buffer, size_t length) {
  NEXT(ssize_t, write, int, const void*, size_t);
  if (is_regular(fd) && fails()) return -1;
  return next(fd, buffer, length);
}

ssize_t pwrite(int fd, const void* buffer, size_t length, off_t offset) {
  NEXT(ssize_t, pwrite, int, const void*, size_t, off_t);
  if (is_regular(fd) && fails()) return -1;
  return next(fd, buffer, length, offset);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  NEXT(ssize_t, writev, int, const struct iovec*, int);
  if (is_regular(fd) && fails()) return -1;
  return next(fd, parts, count);
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t length,
                        unsigned flags) {
  NEXT(ssize_t, copy_file_range, int, off64_t*, int, off64_t*, size_t, unsigned);
  if (fails()) return -1;
  return next(from, from_offset, to, to_offset, length, flags);
}

int fsync(int fd) {
  NEXT(int, fsync, int);
  watch("fsync");
  if (fails()) return -1;
  return next(fd);
}

int fdatasync(int fd) {
  NEXT(int, fdatasync, int);
  watch("fdatasync");
  if (fails()) return -1;
  return next(fd);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  NEXT(int, fallocate, int, int, off_t, off_t);
  if (fails()) return -1;
  return next(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
  NEXT(int, posix_fallocate, int, off_t, off_t);
  if (fails()) return errno;
  return next(fd, offset, length);
}

int ftruncate(int fd, off_t length) {
  NEXT(int, ftruncate, int, off_t);
  if (fails()) return -1;
  return next(fd, length);
}

int rename(const char* from, const char* to) {
  NEXT(int, rename, const char*, const char*);
  watch("rename");
  if (fails()) return -1;
  return next(from, to);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  NEXT(int, renameat, int, const char*, int, const char*);
  watch("renameat");
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to);
}

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) {
  NEXT(int, renameat2, int, const char*, int, const char*, unsigned);
  watch("renameat2");
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to, flags);
}

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  NEXT(int, linkat, int, const char*, int, const char*, int);
  watch("linkat");
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to, flags);
}

int mkdir(const char* path, mode_t mode) {
  NEXT(int, mkdir, const char*, mode_t);
  watch("mkdir");
  if (fails()) return -1;
  return next(path, mode);
}

int link(const char* from, const char* to) {
  NEXT(int, link, const char*, const char*);
  watch("link");
  return next(from, to);
}

int unlink(const char* path) {
  NEXT(int, unlink, const char*);
  watch("unlink");
  return next(path);
}

int unlinkat(int directory, const char* path, int flags) {
  NEXT(int, unlinkat, int, const char*, int);
  watch("unlinkat");
  return next(directory, path, flags);
}

int rmdir(const char* path) {
  NEXT(int, rmdir, const char*);
  watch("rmdir");
  return next(path);
}

__attribute__((destructor)) static void report(void) {
  const char* file = getenv("FAIL_REPORT");
  if (file == NULL) return;
  FILE* out = fopen(file, "w");
  if (out == NULL) return;
  fprintf(out, "%ld\n", (long)atomic_load(&calls));
  fclose(out);
}
