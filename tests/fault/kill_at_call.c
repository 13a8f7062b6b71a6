// Runs a program and kills it before the n-th system call that changes files.
//
//   kill_at_call REPORT N PROGRAM ARGUMENT...
//
// Counted over all threads and children, in the order in which the kernel sees them; N = 0 kills
// nothing. REPORT gets the number of counted calls and the name of the last. Between two of these
// calls nothing changes that outlives the process, so that a kill at any other moment leaves what a
// kill before the next of them leaves. Ends as the program does; 125: it cannot be traced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kCannotTrace = 125 };

struct call {
  long number;
  const char* name;
};

#define CALL(name) \
  { SYS_##name, #name }

static const struct call calls[] = {
    CALL(openat),   CALL(write),     CALL(pwrite64),  CALL(writev),    CALL(copy_file_range),
    CALL(sendfile), CALL(ftruncate), CALL(truncate),  CALL(fallocate), CALL(linkat),
    CALL(renameat), CALL(renameat2), CALL(unlinkat),  CALL(mkdirat),   CALL(symlinkat),
    CALL(fchmod),   CALL(fchmodat),  CALL(utimensat), CALL(ioctl),
#ifdef SYS_open
    CALL(open),     CALL(link),      CALL(rename),    CALL(unlink),    CALL(mkdir),
    CALL(rmdir),    CALL(symlink),   CALL(chmod),
#endif
};
enum { kCalls = sizeof calls / sizeof *calls };

static void start(char** command) {
  // The filter stops the process at these calls only.
  struct sock_filter filter[kCalls + 3];
  filter[0] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < kCalls; ++i) {
    filter[i + 1] = (struct sock_filter)BPF_JUMP(
        BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, (unsigned char)(kCalls - i), 0);
  }
  filter[kCalls + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[kCalls + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
  const struct sock_fprog program = {kCalls + 3, filter};
  if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(kCannotTrace);
  raise(SIGSTOP);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    _exit(kCannotTrace);
  }
  execvp(command[0], command);
  _exit(127);
}

// The name of the call that `pid` is about to make, NULL when it changes nothing.
static const char* changing(pid_t pid) {
  struct __ptrace_syscall_info info;
  memset(&info, 0, sizeof info);
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return NULL;
  const struct call* call = NULL;
  for (int i = 0; i < kCalls; ++i) {
    if ((unsigned long)calls[i].number == info.seccomp.nr) call = &calls[i];
  }
  if (call == NULL) return NULL;
  const int is_openat = call->number == SYS_openat;
  if (call->number == SYS_ioctl && info.seccomp.args[1] != FICLONERANGE) return NULL;
  if (is_openat || strcmp(call->name, "open") == 0) {
    const unsigned long flags = info.seccomp.args[is_openat ? 2 : 1];
    const int creates = (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    if (!creates) return NULL;
  }
  return call->name;
}

int main(int argc, char** argv) {
  if (argc < 4) return kCannotTrace;
  const long wanted = atol(argv[2]);
  const pid_t child = fork();
  if (child == 0) start(argv + 3);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return kCannotTrace;
  const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                       PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return kCannotTrace;
  ptrace(PTRACE_CONT, child, 0, 0);

  long count = 0;
  const char* last = "-";
  int end = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
    if (pid <= 0) continue;
    if (!WIFSTOPPED(status)) {
      if (pid == child) end = status;
      continue;
    }
    int signal = WSTOPSIG(status);
    const int event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP) {
      const char* name = changing(pid);
      if (name != NULL) {
        last = name;
        // The call is not made once SIGKILL is pending.
        if (++count == wanted) kill(child, SIGKILL);
      }
    }
    // New threads begin with a SIGSTOP.
    if (event != 0 || signal == SIGSTOP || signal == SIGTRAP) signal = 0;
    ptrace(PTRACE_CONT, pid, 0, signal);
  }

  FILE* report = fopen(argv[1], "w");
  if (report == NULL || fprintf(report, "%ld %s\n", count, last) < 0 || fclose(report) != 0) {
    return kCannotTrace;
  }
  if (WIFSIGNALED(end)) raise(WTERMSIG(end));
  return WIFEXITED(end) ? WEXITSTATUS(end) : kCannotTrace;
}
