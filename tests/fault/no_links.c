// A file system as mounts of cloud storage are: no hard links, no unnamed files, no flags of
// renameat2. All else is done in a directory behind it.
//   no_links BEHIND MOUNT_POINT ERRNO   what link(2) fails with there
// Stays in the foreground until it is unmounted.
#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char* behind;
static int link_error;

struct place {
  char path[PATH_MAX];
};

static struct place at(const char* path) {
  struct place place;
  snprintf(place.path, sizeof place.path, "%s%s", behind, path);
  return place;
}

static int outcome(int result) { return result == 0 ? 0 : -errno; }

static int do_getattr(const char* path, struct stat* status, struct fuse_file_info* file) {
  if (file != NULL) return outcome(fstat((int)file->fh, status));
  return outcome(lstat(at(path).path, status));
}

static int do_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info* file, enum fuse_readdir_flags flags) {
  (void)offset;
  (void)file;
  (void)flags;
  DIR* directory = opendir(at(path).path);
  if (directory == NULL) return -errno;
  for (struct dirent* entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    fill(buffer, entry->d_name, NULL, 0, 0);
  }
  closedir(directory);
  return 0;
}

static int do_mkdir(const char* path, mode_t mode) { return outcome(mkdir(at(path).path, mode)); }
static int do_rmdir(const char* path) { return outcome(rmdir(at(path).path)); }
static int do_unlink(const char* path) { return outcome(unlink(at(path).path)); }

static int do_rename(const char* from, const char* to, unsigned flags) {
  if (flags != 0) return -EINVAL;
  return outcome(rename(at(from).path, at(to).path));
}

static int do_link(const char* from, const char* to) {
  (void)from;
  (void)to;
  return -link_error;
}

static int do_chmod(const char* path, mode_t mode, struct fuse_file_info* file) {
  (void)path;
  (void)mode;
  (void)file;
  return -EPERM;
}

static int do_truncate(const char* path, off_t size, struct fuse_file_info* file) {
  (void)file;
  return outcome(truncate(at(path).path, size));
}

static int keep(int fd, struct fuse_file_info* file) {
  if (fd < 0) return -errno;
  file->fh = (uint64_t)fd;
  return 0;
}

static int do_open(const char* path, struct fuse_file_info* file) {
  return keep(open(at(path).path, file->flags), file);
}

static int do_create(const char* path, mode_t mode, struct fuse_file_info* file) {
  return keep(open(at(path).path, file->flags | O_CREAT, mode), file);
}

static int do_read(const char* path, char* bytes, size_t size, off_t offset,
                   struct fuse_file_info* file) {
  (void)path;
  const ssize_t count = pread((int)file->fh, bytes, size, offset);
  return count < 0 ? -errno : (int)count;
}

static int do_write(const char* path, const char* bytes, size_t size, off_t offset,
                    struct fuse_file_info* file) {
  (void)path;
  const ssize_t count = pwrite((int)file->fh, bytes, size, offset);
  return count < 0 ? -errno : (int)count;
}

static int do_fsync(const char* path, int data_only, struct fuse_file_info* file) {
  (void)path;
  (void)data_only;
  return outcome(fsync((int)file->fh));
}

static int do_release(const char* path, struct fuse_file_info* file) {
  (void)path;
  return outcome(close((int)file->fh));
}

static int do_statfs(const char* path, struct statvfs* status) {
  return outcome(statvfs(at(path).path, status));
}

static const struct fuse_operations operations = {
    .getattr = do_getattr,
    .mkdir = do_mkdir,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .link = do_link,
    .chmod = do_chmod,
    .truncate = do_truncate,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .statfs = do_statfs,
    .release = do_release,
    .fsync = do_fsync,
    .readdir = do_readdir,
    .create = do_create,
};

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  umask(0);  // the caller's counts
  behind = argv[1];
  link_error = atoi(argv[3]);
  char* arguments[] = {argv[0], "-f", "-s", argv[2], NULL};
  return fuse_main(4, arguments, &operations, NULL);
}
