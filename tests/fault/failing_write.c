// Preloaded into a program under test: makes the n-th of the calls that can lose data fail.
//
//   FAIL_CALL=N      which call fails, counted from 1 over all functions below
//   FAIL_ERRNO=28    with this errno (default ENOSPC)
//   FAIL_REPORT=FILE the number of counted calls is written there at exit
//
// Counted are calls on files that the program wants to keep: write, pwrite and fsync on regular
// files, copy_file_range, fallocate, ftruncate, rename, linkat, mkdir. Once a call failed, the
// following ones work again, so that clean-up is tested too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
  if (fails()) return -1;
  return next(fd);
}

int fdatasync(int fd) {
  NEXT(int, fdatasync, int);
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
  if (fails()) return -1;
  return next(from, to);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  NEXT(int, renameat, int, const char*, int, const char*);
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to);
}

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) {
  NEXT(int, renameat2, int, const char*, int, const char*, unsigned);
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to, flags);
}

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  NEXT(int, linkat, int, const char*, int, const char*, int);
  if (fails()) return -1;
  return next(from_directory, from, to_directory, to, flags);
}

int mkdir(const char* path, mode_t mode) {
  NEXT(int, mkdir, const char*, mode_t);
  if (fails()) return -1;
  return next(path, mode);
}

__attribute__((destructor)) static void report(void) {
  const char* file = getenv("FAIL_REPORT");
  if (file == NULL) return;
  FILE* out = fopen(file, "w");
  if (out == NULL) return;
  fprintf(out, "%ld\n", (long)atomic_load(&calls));
  fclose(out);
}
