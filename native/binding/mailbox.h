#pragma once

#include <deque>
#include <functional>
#include <mutex>

namespace dg::binding {

// What threads have to say on the JavaScript thread, in the order they said it. Knows nothing of JavaScript: `ring`
// makes the JavaScript thread call deliver(), once for each message.
class Mailbox {
 public:
  // Plain data alone: a message may be dropped on any thread.
  using Message = std::function<void()>;

  // `ring` is called by any thread, never after close().
  explicit Mailbox(std::function<void()> ring) : ring_(std::move(ring)) {}

  // Any thread. Dropped when the box is closed.
  void post(Message message);

  // JavaScript thread. Runs the oldest message, if there is one.
  void deliver();

  // Any thread. Nothing is delivered any more.
  void close();

 private:
  std::mutex mutex_;
  std::function<void()> ring_;
  std::deque<Message> messages_;
  bool closed_ = false;
};

}  // namespace dg::binding
