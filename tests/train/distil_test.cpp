// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// What an observer throws that has seen enough.
struct Enough {};

using Model = CausalTransformer<float>;

/// Scores as it is told, and notes what it sees.
struct Examiner {
  std::vector<double> scores{};
  std::vector<int> updates{}, evaluations{};
  std::vector<double> losses{};
  std::vector<Model> seen{};

  void on_update(const DistilMetrics& metrics) {
    updates.push_back(metrics.update);
    losses.push_back(metrics.loss);
  }
  double on_evaluate(const Model& model, int update) {
    evaluations.push_back(update);
    seen.push_back(model);
    return scores[evaluations.size() - 1];
  }
};

/// A history in which `action_of(observation, step)` is done in `episodes` episodes of `length` steps.
template <typename ActionOf>
LearningHistory history_of(const StepLayout& layout, int episodes, int length, std::uint64_t seed,
                           ActionOf&& action_of) {
  LearningHistory history{{.observation_space = layout.observation_space, .action_space = layout.action_space}};
  HistoryRecorder recorder{history};
  Rng rng{seed};
  std::array<float, 1> observation{};
  for (int e = 0; e < episodes; ++e) {
    sample(layout.observation_space, rng, observation);
    recorder.begin_episode(observation);
    for (int t = 0; t < length; ++t) {
      const std::array action{static_cast<float>(action_of(static_cast<int>(observation[0])))};
      sample(layout.observation_space, rng, observation);
      recorder.step(action, 0, observation, false, t + 1 == length);
    }
  }
  return history;
}

double mean_of_last(const std::vector<double>& losses, int count) {
  double sum = 0;
  for (std::size_t i = losses.size() - static_cast<std::size_t>(count); i < losses.size(); ++i) sum += losses[i];
  return sum / count;
}

}  // namespace

TEST_CASE("A run reports every update, evaluates when it is due and at its end, and returns the best", "[train]") {
  const SmallRun run;
  auto model = run.model();
  DistilConfig config = small_distil(11);
  config.evaluate_every = 4;
  Examiner examiner{.scores = {1, 3, 2}};

  const DistilResult result = distil(model, run.sampler, config, examiner);

  CHECK(examiner.updates == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(examiner.evaluations == std::vector{4, 8, 11});
  CHECK(have_equal_bits(model, examiner.seen[1]));
  CHECK(result.updates == 11);
  CHECK(result.best_update == 8);
  CHECK(result.best_score == 3);
  CHECK(result.final_loss == examiner.losses.back());
  CHECK(result.tokens == 11 * 6 * 8);  // all windows are full
  CHECK(result.train_seconds > 0);
  CHECK(result.tokens_per_second == Approx(static_cast<double>(result.tokens) / result.train_seconds));
}

TEST_CASE("Without scores a run returns its last weights, averaged if it averages", "[train]") {
  const SmallRun run;
  for (const double ema_decay : {0.0, 0.9}) {
    DistilConfig config = small_distil(5);
    config.ema_decay = ema_decay;
    auto model = run.model(), by_steps = run.model();
    DistilTrainer trainer{by_steps, run.sampler, config};
    for (int i = 0; i < 5; ++i) trainer.step();

    const DistilResult result = distil(model, run.sampler, config);

    CHECK(have_equal_bits(model, trainer.averaged()));
    CHECK(result.best_update == 5);
    CHECK(result.best_score == 0);
  }
}

TEST_CASE("Scores below zero are scores, and one that is no number is an Error", "[train]") {
  const SmallRun run;
  auto model = run.model();
  DistilConfig config = small_distil(6);
  config.evaluate_every = 2;
  Examiner negative{.scores = {-5, -7, -6}}, confused{.scores = {1, std::numeric_limits<double>::quiet_NaN(), 2}};

  const DistilResult result = distil(model, run.sampler, config, negative);

  CHECK(result.best_update == 2);
  CHECK(result.best_score == -5);
  CHECK(have_equal_bits(model, negative.seen[0]));
  CHECK(has(error_of([&] { (void)distil(model, run.sampler, config, confused); }),
            "the observer gave NaN as the score of update 4"));
}

namespace {

class PrivateObserver {
  [[maybe_unused]] void on_update(const DistilMetrics&) {}
};
struct OverloadedObserver {
  void on_update(int) {}
  void on_update(std::string) {}
};
struct TemplateObserver {
  template <typename M>
  double on_evaluate(const M&) {
    return 0;
  }
};
struct OtherObserver {
  int on_updates = 0;
};
static_assert(detail::NamesOnUpdate<PrivateObserver> && !HasOnUpdate<PrivateObserver>);
static_assert(detail::NamesOnUpdate<OverloadedObserver> && !HasOnUpdate<OverloadedObserver>);
static_assert(detail::NamesOnEvaluate<TemplateObserver> && !detail::NamesOnUpdate<TemplateObserver>);
static_assert(!detail::NamesOnUpdate<OtherObserver> && !detail::NamesOnEvaluate<OtherObserver>);

}  // namespace

TEST_CASE("What an observer throws comes through, with the weights of the last update in the model", "[train]") {
  struct Quitter {
    void on_update(const DistilMetrics& metrics) {
      if (metrics.update == 3) throw Enough{};
    }
  };
  const SmallRun run;
  const DistilConfig config = small_distil(9);
  auto model = run.model(), by_steps = run.model();
  DistilTrainer trainer{by_steps, run.sampler, config};
  for (int i = 0; i < 3; ++i) trainer.step();

  CHECK_THROWS_AS(distil(model, run.sampler, config, Quitter{}), Enough);

  CHECK(have_equal_bits(model, by_steps));
}

TEST_CASE("A run that finds its checkpoint goes on from there, and one that is done has nothing to do", "[train]") {
  struct Quitter : Examiner {
    double on_evaluate(const Model& model, int update) {
      if (update == 8) throw Enough{};
      return Examiner::on_evaluate(model, update);
    }
  };
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(10);
  config.evaluate_every = 2;
  auto whole = run.model(), model = run.model();
  Examiner all{.scores = {1, 5, 2, 3, 4}}, rest{.scores = {2, 3, 4}}, nothing;
  (void)distil(whole, run.sampler, config, all);
  config.checkpoint = folder / "run.ckpt";
  config.checkpoint_every = 5;
  CHECK_THROWS_AS(distil(model, run.sampler, config, Quitter{{.scores = {1, 5, 2}}}), Enough);

  auto resumed = run.model();
  const DistilResult result = distil(resumed, run.sampler, config, rest);

  CHECK(rest.updates == std::vector{6, 7, 8, 9, 10});
  CHECK(have_equal_bits(resumed, whole));
  CHECK(result.best_update == 4);
  CHECK(result.final_loss == all.losses.back());
  auto again = run.model();
  const DistilResult same = distil(again, run.sampler, config, nothing);
  CHECK(nothing.updates.empty());
  CHECK(have_equal_bits(again, whole));
  CHECK(same.tokens == result.tokens);
  CHECK(same.best_score == 5);
  config.batch = 7;
  CHECK(has(error_of([&] { (void)distil(again, run.sampler, config); }), "batch 6"));
}

TEST_CASE("A checkpoint that cannot be looked at is not taken for a missing one", "[train]") {
  const TemporaryFolder folder;
  const SmallRun run;
  auto model = run.model();
  DistilConfig config = small_distil(2);
  config.checkpoint = folder / "run.ckpt";
  config.checkpoint_every = 1;
  std::filesystem::create_symlink("run.ckpt", config.checkpoint);  // a link to itself

  CHECK(has(error_of([&] { distil(model, run.sampler, config); }),
            "checkpoint \"" + config.checkpoint.string() + "\": cannot tell whether it exists: "));
  CHECK(std::filesystem::is_symlink(config.checkpoint));
}

TEST_CASE("A run that is killed again and again at any moment ends in the weights of one that was not",
          "[train][slow]") {
  struct Endless {  // its process never comes to the end
    int last;
    void on_update(const DistilMetrics& metrics) const {
      while (metrics.update == last) ::pause();
    }
  };
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(60);
  auto uninterrupted = run.model();
  (void)distil(uninterrupted, run.sampler, config);
  config.checkpoint = folder / "run.ckpt";
  config.checkpoint_every = 1;
  config.thread_count = 2;
  Rng rng{1};
  int updates_done = 0;
  for (int kill = 0; kill < 8; ++kill) {
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        auto model = run.model();
        (void)distil(model, run.sampler, config, Endless{config.updates});
      } catch (...) {
      }
      ::_exit(1);
    }
    for (int i = 0; i < 5000 && !std::filesystem::exists(config.checkpoint); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    std::this_thread::sleep_for(std::chrono::microseconds{rng.below(40000)});
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    auto model = run.model();
    DistilTrainer trainer{model, run.sampler, config};
    trainer.restore(config.checkpoint);
    REQUIRE(trainer.progress().update >= updates_done);
    updates_done = trainer.progress().update;
  }
  CHECK(updates_done > 0);
  CHECK(updates_done < config.updates);

  auto model = run.model();
  const DistilResult result = distil(model, run.sampler, config);

  CHECK(result.updates == 60);
  CHECK(have_equal_bits(model, uninterrupted));
}

TEST_CASE("Training learns what to do where", "[train]") {
  const StepLayout layout{.observation_space = Discrete{6}, .action_space = Discrete{3}};
  const auto history = history_of(layout, 20, 8, 1, [](int observation) { return observation % 3; });
  const WindowSampler sampler{{history.view()}, layout, {.context = 8}};
  Model model{small_config(8), layout};
  Rng rng{1};
  model.initialize(rng);
  Examiner examiner;

  (void)distil(model, sampler,
               {.updates = 80, .batch = 8, .learning_rate = 0.01, .warmup = 10, .evaluate_every = 0, .thread_count = 1},
               examiner);

  CHECK(examiner.losses.front() > 0.9);  // of log 3 = 1.1
  CHECK(mean_of_last(examiner.losses, 10) < 0.05);
}

TEST_CASE("Training learns to find out in context what only the past can tell", "[train]") {
  constexpr int context = 8;
  const StepLayout layout{.observation_space = Discrete{4}, .action_space = Discrete{3}};
  std::vector<LearningHistory> histories;  // each has a favorite action of its own
  for (int i = 0; i < 3; ++i)
    histories.push_back(history_of(layout, 20, 4, static_cast<std::uint64_t>(i), [i](int) { return i; }));
  const WindowSampler sampler{views(histories), layout, {.context = context, .history_start_fraction = 0}};
  Model model{small_config(context), layout};
  Rng rng{2};
  model.initialize(rng);
  Examiner examiner;

  (void)distil(
      model, sampler,
      {.updates = 80, .batch = 12, .learning_rate = 0.01, .warmup = 10, .evaluate_every = 0, .thread_count = 1},
      examiner);

  const double least = std::log(3.0) / context;  // the first action can only be guessed, all others are known
  CHECK(mean_of_last(examiner.losses, 20) < 1.25 * least);
  CHECK(mean_of_last(examiner.losses, 20) > 0.8 * least);
}
