#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "native/binding/mailbox.h"
#include "native/binding/worker.h"

namespace dg::binding {

// The native threads of one JavaScript environment, which end with it at the latest. One that ends before is joined and
// let go of on the JavaScript thread, told by the mailbox. Knows nothing of JavaScript.
class Workers {
 public:
  // `mailbox` outlives the workers.
  explicit Workers(Mailbox& mailbox) : mailbox_(mailbox) {}

  // JavaScript thread.
  std::shared_ptr<Worker> start();

  // Any thread. Ends all and waits until they have ended.
  void stop();

  // JavaScript thread, after stop(): lets go of them.
  void clear();

  // Any thread. Those that have not ended, or whose end has not been delivered.
  size_t count();

 private:
  Mailbox& mailbox_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Worker>> workers_;
};

}  // namespace dg::binding
