// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/eval/choose_temperature.hpp>
#include <icrl/eval/regret.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/json.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/output.hpp"
#include "support/progress.hpp"

namespace icrl::bench {

/// The command line of the study.
struct BanditSettings {
  std::vector<std::string> problems{};
  std::vector<int> seeds{1};
  int tasks = 0, updates = 0;  ///< 0: those of the problem
  int width = 32, layers = 4, batch = 32;
  double noise = -1;  ///< -1: that of the problem
  int threads = 0;
  bool quick = false;
  std::filesystem::path out = "out/bandits";
};

/// How a problem is learned.
struct BanditRecipe {
  int pulls = 200;
  int tasks = 30000;
  int updates = 2000;
  double max_noise = 0;   ///< of the source, drawn once per history
  int skipped_pulls = 0;  ///< recorded before the first pull that is learned from: not 0 for expert distillation
};

/// The parts of a study that do not depend on the problem.
class BanditStudy {
public:
  BanditStudy(const BanditSettings& settings, int seed)
      : settings_{settings}, seed_{static_cast<std::uint64_t>(seed)} {}

  [[nodiscard]] BanditRecipe adjusted(BanditRecipe recipe) const {
    if (settings_.tasks > 0) recipe.tasks = settings_.tasks;
    if (settings_.updates > 0) recipe.updates = settings_.updates;
    if (settings_.noise >= 0) recipe.max_noise = settings_.noise;
    if (settings_.quick) {
      recipe.tasks = 16;
      recipe.updates = 4;
    }
    return recipe;
  }

  /// Training, validation and held-out bandits of a family; held-out bandits depend on the seed alone.
  [[nodiscard]] TaskSplit split(int task_count, const BanditRecipe& recipe) const {
    return split_tasks(task_count, {.train = recipe.tasks,
                                    .validation = settings_.quick ? 4 : 512,
                                    .held_out = settings_.quick ? 4 : 512,
                                    .seed = seed_});
  }
  [[nodiscard]] EvaluationConfig evaluation(const BanditRecipe& recipe) const {
    return {.runs = 1, .episodes = recipe.pulls, .seed = seed_, .thread_count = settings_.threads};
  }

  /// Records one history per bandit to a file, learns from it and removes it. A step of a history holds what the source
  /// intended.
  template <TaskFamily F, typename MakeSource>
  [[nodiscard]] CausalTransformer<float> distilled(const std::string& name, const F& family, std::span<const int> tasks,
                                                   MakeSource make_source, const BanditRecipe& recipe) const {
    const std::filesystem::path path = settings_.out / fmt::format("{}-{}.icrl", name, seed_);
    std::filesystem::remove(path);
    const auto make_noisy = [&](int task, const auto& env, Rng& rng) {
      return NoisyLearner{make_source(task, env), env.action_space(), {.max_noise = recipe.max_noise}, rng};
    };
    const auto begin = std::chrono::steady_clock::now();
    {
      HistoryWriter writer{path};
      collect_to(writer, family, tasks, make_noisy,
                 {.episodes = recipe.skipped_pulls + recipe.pulls,
                  .seed = seed_,
                  .thread_count = settings_.threads,
                  .algorithm = name,
                  .with_expert_action = true});
    }
    const std::chrono::duration<double> recorded = std::chrono::steady_clock::now() - begin;
    const HistoryFile file{path};
    const auto env = family.make(0);
    CausalTransformer<float> model{{.width = settings_.width, .layer_count = settings_.layers, .context = recipe.pulls},
                                   {.observation_space = env.observation_space(), .action_space = env.action_space()}};
    Rng rng{seed_};
    model.initialize(rng);
    const double skipped = static_cast<double>(recipe.skipped_pulls) / (recipe.skipped_pulls + recipe.pulls);
    const WindowSampler sampler{
        file.histories(),
        model.layout,
        {.context = recipe.pulls, .skip_fraction = skipped, .history_start_fraction = 1, .use_expert_action = true}};
    TrainingProgress observer{.bar = example::ProgressBar{name}, .updates = static_cast<std::size_t>(recipe.updates)};
    const DistilResult result = distil(model, sampler,
                                       {.updates = recipe.updates,
                                        .batch = settings_.quick ? 4 : settings_.batch,
                                        .warmup = std::min(200, recipe.updates / 2),
                                        .ema_decay = settings_.quick ? 0 : 0.99,
                                        .evaluate_every = 0,
                                        .thread_count = settings_.threads,
                                        .seed = seed_},
                                       observer);
    std::filesystem::remove(path);
    fmt::print("{} seed {}: recorded {} pulls in {:.0f} s, trained {:.0f} s, {:.0f} tokens/s, loss {:.3f}\n", name,
               seed_, tasks.size() * static_cast<std::size_t>(recipe.skipped_pulls + recipe.pulls), recorded.count(),
               result.train_seconds, result.tokens_per_second, result.final_loss);
    std::fflush(stdout);
    return model;
  }

  /// The highest temperature at which a model earns, on validation bandits, at most one standard error less than at the
  /// best one. More randomness than the best on these bandits costs little there, and helps where bandits are others.
  template <TaskFamily F>
  [[nodiscard]] double temperature(const CausalTransformer<float>& model, const F& family, std::span<const int> tasks,
                                   const BanditRecipe& recipe) const {
    const std::vector<double> candidates{0.1, 0.2, 0.3, 0.5, 0.7, 1};
    const TemperatureChoice choice = choose_temperature(model, family, tasks, candidates, evaluation(recipe));
    const auto best = std::ranges::find(choice.scores, choice.temperature, &TemperatureScore::temperature);
    const Interval interval = best->mean_return.interval;
    const double error = (interval.high - interval.low) / (2 * 1.96);
    double chosen = choice.temperature;
    for (const TemperatureScore& score : choice.scores) {
      fmt::print("  temperature {}: {:.4f} per pull\n", score.temperature, score.mean_return.value);
      if (score.mean_return.value >= best->mean_return.value - error) chosen = std::max(chosen, score.temperature);
    }
    fmt::print("  temperature {} is chosen\n", chosen);
    return chosen;
  }

  [[nodiscard]] std::uint64_t seed() const { return seed_; }

private:
  const BanditSettings& settings_;
  std::uint64_t seed_;
};

}  // namespace icrl::bench
