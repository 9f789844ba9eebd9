// The threads of a call's life without Node: the test plays the JavaScript thread and its environment
// (native/binding/environment.h), so that ThreadSanitizer sees all there is of it. `npm run test:sanitize -- tsan`.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "native/binding/delivery.h"
#include "native/binding/mailbox.h"
#include "native/binding/workers.h"
#include "test/native/testing.h"

using dg::binding::Delivery;
using dg::binding::Mailbox;
using dg::binding::Worker;
using dg::binding::Workers;

namespace {

constexpr int kTimes = 200;

using Flag = Worker::CancelFlag;
Flag flag() { return std::make_shared<std::atomic<bool>>(false); }

// Of a microsecond to a millisecond: threads meet elsewhere each time.
void pause(std::minstd_rand& random) { std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000)); }

// What Node gives: a thread of its own that is woken for each message.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    ++rung_;
    wake_.notify_one();
  }
  // The event loop's wait, cut short where nothing comes.
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool isRung = wake_.wait_for(lock, std::chrono::milliseconds(20), [this] { return rung_ > 0; });
    if (!isRung) return false;
    --rung_;
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  int rung_ = 0;
};

// What environment.cc does with its workers and its mailbox, with numbers in place of promises.
class Environment {
 public:
  ~Environment() { close(); }

  std::shared_ptr<Worker> startWorker() { return workers_.start(); }

  int open() {
    calls_.emplace(++last_, 0);
    return last_;
  }

  // Any thread.
  void tell(int id, std::function<void(int&)> message) {
    mailbox_.post([this, id, message = std::move(message)] {
      REQUIRE(std::this_thread::get_id() == javascript_);
      REQUIRE(!closed_);
      const auto call = calls_.find(id);
      if (call != calls_.end()) message(call->second);
    });
  }
  void answer(int id) {
    tell(id, [this, id](int&) {
      calls_.erase(id);
      ++answered_;
    });
  }

  // JavaScript thread: what the event loop does.
  void turn() {
    if (bell_.wait()) mailbox_.deliver();
  }

  // Any thread: the exit handler of the C runtime.
  void stopFromElsewhere() {
    mailbox_.close();
    workers_.stop();
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    workers_.stop();
    mailbox_.close();
    workers_.clear();
    calls_.clear();
  }

  size_t workers() { return workers_.count(); }
  size_t waiting() const { return calls_.size(); }
  int answered() const { return answered_; }

 private:
  Bell bell_;
  Mailbox mailbox_{[this] { bell_.ring(); }};
  Workers workers_{mailbox_};
  std::map<int, int> calls_;
  int last_ = 0;
  int answered_ = 0;
  bool closed_ = false;
  const std::thread::id javascript_ = std::this_thread::get_id();
};

// What a worker keeps: used and freed on its thread alone.
struct Model {
  explicit Model(std::atomic<int>& count) : alive(count) { ++alive; }
  ~Model() {
    if (std::this_thread::get_id() != maker) ++freedElsewhere;
    --alive;
  }
  std::atomic<int>& alive;
  const std::thread::id maker = std::this_thread::get_id();
  int steps = 0;
  static inline std::atomic<int> freedElsewhere = 0;
};

// A run: steps until it is cancelled, each reported and waited for as onStep is.
void run(Environment& environment, Model& model, int call, const Flag& cancelled, Delivery& delivery) {
  while (!cancelled->load()) {
    ++model.steps;
    try {
      delivery.enter(8, *cancelled);
    } catch (const dg::Error&) {
      break;
    }
    environment.tell(call, [&delivery](int& told) {
      ++told;
      delivery.leave();
    });
  }
  environment.answer(call);
}

struct Pipeline {
  Pipeline(Environment& owner, std::atomic<int>& models) : environment(owner), worker(owner.startWorker()) {
    const auto call = environment.open();
    worker->post(flag(), [&environment = environment, worker = worker.get(), call, &models, this] {
      auto made = std::make_shared<Model>(models);
      model = made.get();
      worker->keep(std::move(made));
      environment.answer(call);
    });
  }
  void start() {
    const auto call = environment.open();
    worker->post(cancelled, [this, call] { run(environment, *model, call, cancelled, *delivery); });
  }

  Environment& environment;
  std::shared_ptr<Worker> worker;
  Model* model = nullptr;  // the worker's
  Flag cancelled = flag();
  std::shared_ptr<Delivery> delivery = std::make_shared<Delivery>(Delivery::Limits{1, 64});
};

}  // namespace

TEST_CASE("an environment that closes in the middle of runs joins its threads, and each frees what it keeps") {
  std::minstd_rand random(1);
  std::atomic<int> models = 0;
  for (int i = 0; i < kTimes; ++i) {
    // Pipelines outlive their environment, as objects that JavaScript has not collected do.
    std::vector<std::unique_ptr<Pipeline>> pipelines;
    Environment environment;
    for (int k = 0; k < 3; ++k) {
      pipelines.push_back(std::make_unique<Pipeline>(environment, models));
      pipelines.back()->start();
      pipelines.back()->start();
    }
    for (unsigned turns = random() % 40; turns > 0; --turns) environment.turn();
    pause(random);
    environment.close();
    REQUIRE(models == 0);
    environment.turn();
    REQUIRE(environment.workers() == 0);
    REQUIRE(!pipelines[0]->worker->post(flag(), [] {}));
  }
  REQUIRE(Model::freedElsewhere == 0);
}

TEST_CASE("the C runtime ends on another thread while messages are delivered") {
  std::minstd_rand random(2);
  std::atomic<int> models = 0;
  for (int i = 0; i < kTimes; ++i) {
    std::vector<std::unique_ptr<Pipeline>> pipelines;
    Environment environment;
    for (int k = 0; k < 2; ++k) {
      pipelines.push_back(std::make_unique<Pipeline>(environment, models));
      pipelines.back()->start();
    }
    std::atomic<bool> stopped = false;
    std::thread exit([&, wait = random() % 3000] {
      std::this_thread::sleep_for(std::chrono::microseconds(wait));
      environment.stopFromElsewhere();
      stopped = true;
    });
    while (!stopped) environment.turn();
    exit.join();
    REQUIRE(models == 0);
  }
}

TEST_CASE("aborted runs are answered, all of them, and the next one runs") {
  std::minstd_rand random(3);
  std::atomic<int> models = 0;
  Environment environment;
  Pipeline pipeline(environment, models);
  while (environment.waiting() > 0) environment.turn();
  for (int i = 0; i < kTimes; ++i) {
    pipeline.cancelled = flag();
    pipeline.delivery = std::make_shared<Delivery>(Delivery::Limits{1, 64});
    pipeline.start();
    for (unsigned turns = random() % 5; turns > 0; --turns) environment.turn();
    pause(random);
    pipeline.cancelled->store(true);
    while (environment.waiting() > 0) environment.turn();
  }
  REQUIRE(environment.answered() == kTimes + 1);
  // dispose(): what is kept is freed by its thread, which then ends and is joined.
  pipeline.worker->post(flag(), [worker = pipeline.worker.get()] { worker->keep(nullptr); });
  pipeline.worker->end();
  while (environment.workers() > 0) environment.turn();
  REQUIRE(models == 0);
}

TEST_CASE("a load that fails ends its own thread, which the JavaScript thread joins") {
  Environment environment;
  for (int i = 0; i < kTimes; ++i) {
    const auto worker = environment.startWorker();
    const auto call = environment.open();
    worker->post(flag(), [&environment, worker = worker.get(), call] {
      worker->end();
      environment.answer(call);
    });
  }
  while (environment.workers() > 0) environment.turn();
  REQUIRE(environment.answered() == kTimes);
}

TEST_CASE("a worker that is let go of with jobs that wait cancels them, runs them and ends") {
  for (int i = 0; i < kTimes; ++i) {
    std::atomic<int> ran = 0, cancelled = 0;
    {
      Worker worker;
      for (int job = 0; job < 4; ++job) {
        const auto mine = flag();
        worker.post(mine, [&, mine] {
          ++ran;
          if (*mine) ++cancelled;
        });
      }
    }
    REQUIRE(ran == 4);
    REQUIRE(cancelled <= 4);
  }
}

TEST_CASE("finish lets what was posted run, join may be called by several threads") {
  for (int i = 0; i < kTimes; ++i) {
    std::atomic<int> ran = 0;
    Worker worker;
    for (int job = 0; job < 4; ++job) {
      worker.post(flag(), [&ran] { ++ran; });
    }
    worker.finish();
    std::thread other([&worker] { worker.join(); });
    worker.join();
    other.join();
    REQUIRE(ran == 4);
  }
}

TEST_CASE("deliveries wait for room: never more bytes than the limit, but one that alone is larger") {
  Delivery delivery({4, 64});
  std::atomic<int64_t> inside = 0, most = 0;
  const auto cancelled = flag();
  std::thread worker([&] {
    for (int i = 0; i < 2000; ++i) {
      const int64_t bytes = i % 100 == 0 ? 100 : 20;
      delivery.enter(bytes, *cancelled);
      // Read before it is left: an upper bound of what is inside once the reader has caught up.
      const auto now = inside += 1;
      if (now > most) most = now;
    }
  });
  for (int read = 0; read < 2000;) {
    if (inside == 0) {
      std::this_thread::yield();
      continue;
    }
    --inside;
    delivery.leave();
    ++read;
  }
  worker.join();
  REQUIRE(most <= 4);
}
