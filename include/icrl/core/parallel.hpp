// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/error.hpp>
#include <icrl/core/function_ref.hpp>
#include <icrl/core/os_process.hpp>

namespace icrl {

/// Threads that wait for work without spinning, so that they do not slow down a shared machine. The calling thread is
/// worker 0. After construction, a run allocates nothing.
///
/// fork() must not be called while work runs. The child has none of the pool's threads: there run() does all work on
/// the calling thread, and the destructor joins nothing.
class WorkerPool {
public:
  /// Throws Error if the system cannot create that many threads.
  explicit WorkerPool(int thread_count) : shared_{std::make_unique<Shared>()} {
    ICRL_ASSERT(thread_count >= 1, "WorkerPool needs at least one thread");
    Shared& shared = *shared_;
    try {
      for (int worker = 1; worker < thread_count; ++worker)
        shared.threads.emplace_back([&shared, worker] { shared.serve(worker); });
    } catch (const std::system_error& error) {
      const std::string started = std::to_string(shared.threads.size() + 1);
      shared.stop();
      throw Error{"worker pool: only " + started + " of " + std::to_string(thread_count) +
                  " threads could be started: " + error.what()};
    } catch (...) {
      shared.stop();
      throw;
    }
  }
  ~WorkerPool() {
    if (is_forked()) {
      (void)shared_.release();  // threads that no longer exist cannot be joined or waited for
    } else {
      shared_->stop();
    }
  }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Workers, the calling thread included.
  [[nodiscard]] int thread_count() const { return static_cast<int>(shared_->threads.size()) + 1; }

  /// Calls work(index, worker) for index = 0 .. count - 1, in order, each on the next free worker. Returns when all
  /// calls are done. If a call throws, rethrows the first exception and skips the indices that have not started.
  [[gnu::noinline]] void run(int count, FunctionRef<void(int, int)> work) {
    if (!is_forked()) return shared_->run(count, work);
    for (int index = 0; index < count; ++index) work(index, 0);
  }

private:
  /// State shared by the threads. A fork can happen while a thread uses it, so a forked process does not touch it.
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake, done;
    const FunctionRef<void(int, int)>* work = nullptr;
    int next = 0, count = 0, busy = 0;
    std::uint64_t generation = 0;
    bool stopping = false;
    std::exception_ptr error;
    std::vector<std::thread> threads;

    void run(int work_count, const FunctionRef<void(int, int)>& new_work) {
      std::unique_lock lock{mutex};
      ICRL_ASSERT(busy == 0, "WorkerPool::run was called from its own work or from two threads at once");
      work = &new_work;
      next = 0;
      count = work_count;
      ++generation;
      if (count > 1) wake.notify_all();
      take_work(lock, 0);
      done.wait(lock, [this] { return busy == 0; });
      if (error) std::rethrow_exception(std::exchange(error, nullptr));
    }

    void stop() {
      {
        const std::lock_guard lock{mutex};
        stopping = true;
      }
      wake.notify_all();
      for (std::thread& thread : threads) thread.join();
      threads.clear();
    }

    void serve(int worker) {
      std::unique_lock lock{mutex};
      std::uint64_t seen = 0;
      for (;;) {
        wake.wait(lock, [&] { return stopping || generation != seen; });
        if (stopping) return;
        seen = generation;
        take_work(lock, worker);
      }
    }

    /// Runs indices until none is left. The caller holds the lock on entry and on return.
    void take_work(std::unique_lock<std::mutex>& lock, int worker) {
      ++busy;
      while (next < count) {
        const int index = next++;
        lock.unlock();
        std::exception_ptr thrown;
        try {
          (*work)(index, worker);
        } catch (...) {
          thrown = std::current_exception();
        }
        lock.lock();
        if (thrown && !error) error = thrown;
        if (thrown) next = count;
      }
      if (--busy == 0) done.notify_all();
    }
  };

  [[nodiscard]] bool is_forked() const { return owner_ != os::process_id(); }

  std::unique_ptr<Shared> shared_;
  std::int64_t owner_ = os::process_id();
};

/// One thread per core of the machine.
[[nodiscard]] inline int default_thread_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// Resolves the thread count of a configuration, where 0 means all cores.
[[nodiscard]] inline int threads_or_all(int thread_count) {
  return thread_count == 0 ? default_thread_count() : thread_count;
}

}  // namespace icrl
