#include "native/binding/mailbox.h"

#include <utility>

namespace dg::binding {

void Mailbox::post(Message message) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  messages_.push_back(std::move(message));
  ring_();
}

void Mailbox::deliver() {
  Message message;
  {
    const std::lock_guard lock(mutex_);
    if (messages_.empty()) return;
    message = std::move(messages_.front());
    messages_.pop_front();
  }
  message();
}

void Mailbox::close() {
  std::deque<Message> dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(messages_);
}

}  // namespace dg::binding
