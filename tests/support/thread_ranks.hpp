// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace icrl::test {

/// Ranks that are threads of one process, with a mailbox for each pair of them.
class ThreadRanks {
public:
  ThreadRanks(int rank, int size) : rank_{rank}, size_{size}, post_{std::make_shared<Post>()} {}

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  void send(std::span<const std::byte> bytes, int to) {
    const std::lock_guard lock{post_->mutex};
    post_->boxes[{rank_, to}].emplace_back(bytes.begin(), bytes.end());
    post_->arrived.notify_all();
  }
  /// Throws where the other rank is gone.
  void receive(std::span<std::byte> bytes, int from) {
    std::unique_lock lock{post_->mutex};
    auto& box = post_->boxes[{from, rank_}];
    post_->arrived.wait(lock, [&] { return !box.empty() || post_->is_broken; });
    if (box.empty()) throw std::runtime_error{"a rank is gone"};
    if (box.front().size() != bytes.size()) throw std::logic_error{"a message of another length"};
    std::copy(box.front().begin(), box.front().end(), bytes.begin());
    box.pop_front();
  }

  /// Runs `work(ranks)` as every rank. A rank that throws is gone, and so is whoever waits for one; the first exception
  /// is thrown again.
  template <typename Work>
  static void run(int size, Work work) {
    ThreadRanks first{0, size};
    std::exception_ptr error;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        ThreadRanks mine = first;
        mine.rank_ = rank;
        try {
          work(mine);
        } catch (...) {
          const std::lock_guard lock{first.post_->mutex};
          if (!error) error = std::current_exception();
          first.post_->is_broken = true;
          first.post_->arrived.notify_all();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (error) std::rethrow_exception(error);
  }

private:
  struct Post {
    std::mutex mutex;
    std::condition_variable arrived;
    std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> boxes;  // by sender and receiver
    bool is_broken = false;
  };

  int rank_, size_;
  std::shared_ptr<Post> post_;
};

}  // namespace icrl::test
