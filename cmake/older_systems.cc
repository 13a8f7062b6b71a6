// Part of self-contained builds (SelfContained.cmake), whose tag says manylinux_2_34: two functions
// that were given newer versions of their symbols since, one of glibc and one of libstdc++.
#include <pthread.h>
#include <sys/random.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>

// GLIBC_2.36. libarchive would salt encrypted zip files with it, which are never written.
extern "C" void arc4random_buf(void* bytes, std::size_t size) noexcept {
  auto* at = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::getrandom(at, size, 0);
    if (got < 0) std::abort();  // as in glibc: there is no way to say that it failed
    at += got;
    size -= static_cast<std::size_t>(got);
  }
}

// GLIBCXX_3.4.30 for its `noexcept`.
void std::condition_variable::wait(std::unique_lock<std::mutex>& lock) noexcept {
  ::pthread_cond_wait(native_handle(), lock.mutex()->native_handle());
}
