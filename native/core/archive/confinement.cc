#include "native/core/archive/confinement.h"

#ifndef _WIN32
#include <sys/resource.h>
#endif

#if defined(__linux__) && __has_include(<linux/landlock.h>) && __has_include(<linux/seccomp.h>)
#define DETAIL_GUIDANCE_CONFINES 1
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#endif

namespace dg {
namespace {

#ifndef _WIN32
bool limit(decltype(RLIMIT_DATA) what, rlim_t most) {
  const rlimit limit{most, most};
  return setrlimit(what, &limit) == 0;
}
#endif

#ifdef DETAIL_GUIDANCE_CONFINES
// Rules without an exception: what they handle is refused everywhere.
bool refuseWriting() {
  const auto version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return false;
  // Everything but reading and executing. Bits of later versions: 13 moves and links, 14 truncating.
  uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                    LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (version >= 2) rights |= uint64_t{1} << 13;
  if (version >= 3) rights |= uint64_t{1} << 14;
  const uint64_t attributes = rights;  // the structure's first member; later ones are left out
  const auto rules = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
  if (rules < 0) return false;
  const bool restricted = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  close(static_cast<int>(rules));
  return restricted;
}

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// socket() and execve() fail with "permission denied", for all threads of the process.
bool refuseNetworkAndPrograms() {
  if (kArchitecture == 0) return false;
  constexpr auto load = [](size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
  };
  constexpr auto refuseIf = [](uint32_t number, uint8_t toRefusal) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, toRefusal, 0, number};
  };
  constexpr auto give = [](uint32_t action) { return sock_filter{BPF_RET | BPF_K, 0, 0, action}; };
  std::array<sock_filter, 9> program{
      load(offsetof(seccomp_data, arch)),
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 6, kArchitecture},  // another one's calls: refused
      load(offsetof(seccomp_data, nr)),
      sock_filter{BPF_JMP | BPF_JGE | BPF_K, 4, 0, 0x40000000},  // x32's numbers
      refuseIf(SYS_socket, 3),
      refuseIf(SYS_execve, 2),
      refuseIf(SYS_execveat, 1),
      give(SECCOMP_RET_ALLOW),
      give(SECCOMP_RET_ERRNO | EACCES),
  };
  const sock_fprog filter{static_cast<uint16_t>(program.size()), program.data()};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}
#endif

}  // namespace

Confinement confine(int64_t memoryBytes) {
  Confinement done;
#ifndef _WIN32
  done.memory = memoryBytes > 0 && limit(RLIMIT_DATA, static_cast<rlim_t>(memoryBytes));
  limit(RLIMIT_CORE, 0);
#else
  (void)memoryBytes;
#endif
#ifdef DETAIL_GUIDANCE_CONFINES
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    done.files = refuseWriting();
    done.network = done.programs = refuseNetworkAndPrograms();
  }
#endif
  return done;
}

}  // namespace dg
