#pragma once

#include <cstdint>

namespace dg {

// What the system was able to take away.
struct Confinement {
  bool memory = false;    // more than so many bytes
  bool files = false;     // writing, making, removing any
  bool network = false;   // opening sockets
  bool programs = false;  // starting any
};

// For a process that looks at a stranger's file and does nothing else: takes rights away from the calling thread and
// the threads it starts, for good. With Linux's Landlock and seccomp and POSIX limits, as far as there are any.
Confinement confine(int64_t memoryBytes);

}  // namespace dg
