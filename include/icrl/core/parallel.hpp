// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/error.hpp>
#include <icrl/core/function_ref.hpp>

namespace icrl {

/// Threads that wait for work without spinning, so that they never slow a shared machine down. The caller takes part as
/// worker 0. After construction a run allocates nothing.
class WorkerPool {
public:
  /// Throws Error when the system gives fewer threads.
  explicit WorkerPool(int thread_count) {
    ICRL_ASSERT(thread_count >= 1, "WorkerPool needs at least one thread");
    try {
      for (int worker = 1; worker < thread_count; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
    } catch (const std::system_error& error) {
      const std::string started = std::to_string(threads_.size() + 1);
      stop();
      throw Error{"worker pool: only " + started + " of " + std::to_string(thread_count) +
                  " threads could be started: " + error.what()};
    } catch (...) {
      stop();
      throw;
    }
  }
  ~WorkerPool() { stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  [[nodiscard]] int thread_count() const { return static_cast<int>(threads_.size()) + 1; }

  /// Calls work(index, worker) for index = 0 .. count - 1, handed out in order to whichever worker is free, and returns
  /// when all are done. If calls throw, the first exception is rethrown here and indices not yet begun are left out.
  [[gnu::noinline]] void run(int count, FunctionRef<void(int, int)> work) {
    std::unique_lock lock{mutex_};
    ICRL_ASSERT(busy_ == 0, "WorkerPool::run was called from its own work or from two threads at once");
    work_ = &work;
    next_ = 0;
    count_ = count;
    ++generation_;
    if (count > 1) wake_.notify_all();
    take_work(lock, 0);
    done_.wait(lock, [this] { return busy_ == 0; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

private:
  void stop() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void serve(int worker) {
    std::unique_lock lock{mutex_};
    std::uint64_t seen = 0;
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      take_work(lock, worker);
    }
  }

  /// Runs indices until none is left. Holds the lock on entry and return.
  void take_work(std::unique_lock<std::mutex>& lock, int worker) {
    ++busy_;
    while (next_ < count_) {
      const int index = next_++;
      lock.unlock();
      std::exception_ptr error;
      try {
        (*work_)(index, worker);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error && !error_) error_ = error;
      if (error) next_ = count_;
    }
    if (--busy_ == 0) done_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const FunctionRef<void(int, int)>* work_ = nullptr;
  int next_ = 0, count_ = 0, busy_ = 0;
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

/// One thread a core that the machine offers.
[[nodiscard]] inline int default_thread_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// How configurations name a number of threads: 0 = all that the machine has.
[[nodiscard]] inline int threads_or_all(int thread_count) {
  return thread_count == 0 ? default_thread_count() : thread_count;
}

}  // namespace icrl
