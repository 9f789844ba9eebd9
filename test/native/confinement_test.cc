// What a confined process can not do any more. Each tries in a process of its own, since it is for good.
#include "native/core/archive/confinement.h"

#ifdef __linux__
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "test/native/allowance.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

namespace {

constexpr int64_t kGigabyte = int64_t{1} << 30;

// Whether `attempt` succeeds in a process that gave its rights up, or keeps them.
bool succeeds(bool confined, const std::function<bool()>& attempt) {
  const auto child = fork();
  if (child == 0) {
    if (confined) dg::confine(dg::test::allowance(kGigabyte));
    _exit(attempt() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("a confined process can not write, connect, start programs or take more memory") {
  const auto file = dg::test::temporaryFile("confinement.txt");
  const auto write = [&] {
    std::FILE* opened = std::fopen(file.c_str(), "w");
    return opened != nullptr && std::fclose(opened) == 0;
  };
  const auto read = [] { return std::fopen("/proc/self/status", "r") != nullptr; };
  const auto remove = [&] { return std::remove(file.c_str()) == 0; };
  const auto connect = [] { return socket(AF_INET, SOCK_STREAM, 0) >= 0; };
  const auto start = [] {
    execl("/bin/true", "true", nullptr);
    return false;
  };
  const auto allocate = [] {
    auto* memory = static_cast<char*>(std::malloc(size_t{2} << 30));
    if (memory == nullptr) return false;
    memory[0] = 1;
    return true;
  };
  // Says what the system offers; a process of its own, too.
  const auto offers = [](bool dg::Confinement::* right) {
    return succeeds(false, [&] { return dg::confine(dg::test::allowance(kGigabyte)).*right; });
  };
  REQUIRE(succeeds(false, write));
  REQUIRE(succeeds(false, connect));
  REQUIRE(succeeds(false, start));
  REQUIRE(succeeds(false, allocate));
  REQUIRE(succeeds(true, read));
  if (offers(&dg::Confinement::files)) {
    REQUIRE(!succeeds(true, write));
    REQUIRE(!succeeds(true, remove));
  }
  if (offers(&dg::Confinement::network)) REQUIRE(!succeeds(true, connect));
  if (offers(&dg::Confinement::programs)) REQUIRE(!succeeds(true, start));
  if (offers(&dg::Confinement::memory)) REQUIRE(!succeeds(true, allocate));
  REQUIRE(succeeds(false, remove));
}
#endif
