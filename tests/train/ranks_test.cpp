// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/ranks.hpp>

#include <filesystem>
#include <mutex>
#include <numeric>

#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/thread_ranks.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Ranks broadcast, gather and add up along a fixed tree", "[train]") {
  for (const int size : {1, 2, 3, 4, 5, 8}) {
    CAPTURE(size);
    std::mutex mutex;
    int right = 0;
    ThreadRanks::run(size, [&](ThreadRanks& ranks) {
      const auto mine = static_cast<float>(ranks.rank() + 1);
      std::vector<float> told{ranks.rank() == 0 ? 7.0f : 0.0f}, sum{mine, 10 * mine}, work;
      broadcast_from_first(ranks, std::span{told});
      sum_over_ranks(ranks, std::span{sum}, work);
      std::vector<float> all(static_cast<std::size_t>(size));
      gather_from_ranks(ranks, std::span{&mine, 1}, std::span{all});
      std::vector<float> expected(all.size());
      std::iota(expected.begin(), expected.end(), 1.0f);
      const float total = static_cast<float>(size * (size + 1)) / 2;
      const std::lock_guard lock{mutex};
      if (told[0] == 7 && sum == std::vector<float>{total, 10 * total} && all == expected) ++right;
    });
    CHECK(right == size);
  }
}

TEST_CASE("Tasks are dealt out to ranks", "[train]") {
  const std::vector<int> tasks{5, 6, 7, 8, 9};
  CHECK(tasks_of_rank(ThreadRanks{0, 2}, tasks) == std::vector<int>{5, 7, 9});
  CHECK(tasks_of_rank(ThreadRanks{1, 2}, tasks) == std::vector<int>{6, 8});
  CHECK(tasks_of_rank(OneRank{}, tasks) == tasks);
}

TEST_CASE("One, two and four ranks train weights of the same bits", "[train]") {
  const SmallRun run;
  const DistilConfig config = small_distil(6);
  const auto trained = [&](int size) {
    std::mutex mutex;
    std::vector<std::vector<float>> found;
    ThreadRanks::run(size, [&](ThreadRanks& ranks) {
      auto model = run.model<float>();
      struct Nobody {};
      (void)distil(model, run.sampler, config, Nobody{}, ActionCrossEntropy{}, ranks);
      const std::lock_guard lock{mutex};
      found.push_back(weights_of(model));
    });
    for (const auto& weights : found) CHECK(weights == found.front());
    return found.front();
  };
  auto alone = run.model<float>();
  (void)distil(alone, run.sampler, config);

  CHECK(trained(1) == weights_of(alone));
  CHECK(trained(2) == weights_of(alone));
  CHECK(trained(4) == weights_of(alone));
}

TEST_CASE("Ranks that cannot share the gradient slots are refused", "[train]") {
  const SmallRun run;
  auto model = run.model<float>();
  const DistilConfig config = small_distil(6);
  CHECK_THROWS_WITH((DistilTrainer<CausalTransformer<float>, ActionCrossEntropy, ThreadRanks>{
                        model, run.sampler, config, {}, ThreadRanks{0, 3}}),
                    ContainsSubstring("gradient_slots is 4, but it must be 3 ranks times"));
}

TEST_CASE("Ranks that do not begin alike are refused, all of them", "[train]") {
  const SmallRun run;
  int refused = 0;
  std::mutex mutex;
  ThreadRanks::run(2, [&](ThreadRanks& ranks) {
    auto model = run.model<float>();
    Rng rng{static_cast<std::uint64_t>(ranks.rank())};
    model.initialize(rng);
    struct Nobody {};
    const std::string error = error_of([&] { (void)distil(model, run.sampler, small_distil(6), Nobody{}, ranks); });
    const std::lock_guard lock{mutex};
    if (has(error, "distil: rank 1 begins with other weights")) ++refused;
  });
  CHECK(refused == 2);
}

TEST_CASE("A rank that dies ends the run with an error, and its checkpoint resumes to the same bits", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(6);
  auto expected = run.model<float>();
  (void)distil(expected, run.sampler, config);
  config.checkpoint = folder / "checkpoint";
  config.checkpoint_every = 2;
  struct Dies {
    bool dies;
    void on_update(const DistilMetrics& metrics) const {
      if (dies && metrics.update == 5) throw std::runtime_error{"this rank dies"};
    }
  };
  const auto train = [&](bool dies) {
    std::mutex mutex;
    std::vector<float> weights;
    ThreadRanks::run(2, [&](ThreadRanks& ranks) {
      auto model = run.model<float>();
      (void)distil(model, run.sampler, config, Dies{dies && ranks.rank() == 1}, ActionCrossEntropy{}, ranks);
      const std::lock_guard lock{mutex};
      weights = weights_of(model);
    });
    return weights;
  };
  CHECK_THROWS(train(true));
  CHECK(std::filesystem::exists(config.checkpoint));
  CHECK(train(false) == weights_of(expected));
}
