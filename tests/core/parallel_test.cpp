// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/parallel.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/forked_process.hpp"

using namespace icrl;

TEST_CASE("Every index is worked on once, by a worker that exists", "[core]") {
  for (const int threads : {1, 2, 4}) {
    WorkerPool pool{threads};
    CHECK(pool.thread_count() == threads);
    for (const int count : {0, 1, 2, 3, 100}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
      std::atomic<bool> all_known{true};

      pool.run(count, [&](int index, int worker) {
        ++visits[static_cast<std::size_t>(index)];
        if (worker < 0 || worker >= threads) all_known = false;
      });

      for (const auto& visit : visits) CHECK(visit == 1);
      CHECK(all_known);
    }
  }
}

TEST_CASE("A pool of one works in order on the caller's thread", "[core]") {
  WorkerPool pool{1};
  std::vector<int> order;

  pool.run(5, [&, caller = std::this_thread::get_id()](int index, int worker) {
    if (worker == 0 && std::this_thread::get_id() == caller) order.push_back(index);
  });

  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("Workers work side by side, each on one thread", "[core]") {
  WorkerPool pool{2};
  std::atomic<int> begun{0};
  std::array<std::thread::id, 2> threads;

  pool.run(2, [&](int, int worker) {
    threads[static_cast<std::size_t>(worker)] = std::this_thread::get_id();
    ++begun;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (begun < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  });

  CHECK(threads[0] == std::this_thread::get_id());
  CHECK(threads[1] != std::thread::id{});
  CHECK(threads[1] != threads[0]);
}

TEST_CASE("What was written by the work is there when the run returns, run after run", "[core]") {
  WorkerPool pool{3};
  std::vector<int> values(16);
  for (int round = 1; round <= 2000; ++round) {
    pool.run(16, [&](int index, int) { values[static_cast<std::size_t>(index)] += index; });
    if (values[15] != 15 * round) FAIL("round " << round);
  }
  for (std::size_t i = 0; i < 16; ++i) CHECK(values[i] == 2000 * static_cast<int>(i));
}

TEST_CASE("The first exception of a run reaches the caller, and the pool lives on", "[core]") {
  for (const int threads : {1, 3}) {
    WorkerPool pool{threads};
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> done{0};
      std::string text;

      try {
        pool.run(1000, [&](int index, int) {
          if (index == 10) throw std::runtime_error{"at ten"};
          ++done;
        });
      } catch (const std::runtime_error& error) {
        text = error.what();
      }

      CHECK(text == "at ten");
      if (threads == 1) CHECK(done == 10);  // what had not begun was left out

      done = 0;
      pool.run(7, [&](int, int) { ++done; });
      CHECK(done == 7);
    }
  }
}

TEST_CASE("Of several exceptions the first one counts", "[core]") {
  WorkerPool pool{2};
  std::atomic<bool> second_begun{false};
  std::string text;

  try {
    pool.run(2, [&](int index, int) {
      if (index == 1) {
        second_begun = true;
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
        throw std::runtime_error{"second"};
      }
      while (!second_begun) std::this_thread::yield();
      throw std::runtime_error{"first"};
    });
  } catch (const std::runtime_error& error) {
    text = error.what();
  }

  CHECK(text == "first");
}

TEST_CASE("A run allocates nothing", "[core]") {
  WorkerPool pool{2};
  std::atomic<int> sum{0};
  const auto work = [&](int index, int) { sum += index; };
  pool.run(10, work);

  const test::AllocationCount allocations;
  for (int i = 0; i < 100; ++i) pool.run(10, work);

  CHECK(allocations.count() == 0);
  CHECK(sum == 101 * 45);
}

TEST_CASE("Idle workers take no processor time", "[core]") {
  WorkerPool pool{4};
  pool.run(8, [](int, int) {});

  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds{200});
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;

  CHECK(used < 0.05);
}

TEST_CASE("There is at least one thread by default", "[core]") { CHECK(default_thread_count() >= 1); }

TEST_CASE("In a forked process the caller does all work, and the pool ends without its threads", "[core]") {
  std::optional<WorkerPool> pool{std::in_place, 4};
  std::atomic<int> done{0};
  pool->run(8, [&](int, int) { ++done; });

  for (int fork = 0; fork < 10; ++fork) {
    CHECK(test::holds_in_forked_process([&] {
      int sum = 0;
      bool is_first = true;
      pool->run(10, [&](int index, int worker) {
        sum += index;
        is_first = is_first && worker == 0;
      });
      const bool has_thrown = !test::error_of([&] { pool->run(3, [](int, int) { throw Error{"no"}; }); }).empty();
      const bool has_size = pool->thread_count() == 4;
      pool.reset();
      return sum == 45 && is_first && has_thrown && has_size;
    }));
  }
  pool->run(8, [&](int, int) { ++done; });
  CHECK(done == 16);
}
