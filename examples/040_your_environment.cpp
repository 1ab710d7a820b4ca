// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Your own task in one screen: a corridor with a treasure under one of its tiles. From the spaces that it names follow
// how histories are stored and what the model looks like; the rest of the library does not know it.
#include <icrl/env/check_environment.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;

struct Corridor {
  static constexpr int tiles = 21, horizon = 20;
  int treasure = 0, position = tiles / 2, time = 0;

  Space observation_space() const { return Discrete{tiles}; }
  Space action_space() const { return Discrete{3}; }  // left, stay, right
  void reset(Rng&) { position = tiles / 2, time = 0; }
  void observe(std::span<float> out) const { out[0] = static_cast<float>(position); }
  StepResult step(int action, Rng&) {
    position = std::clamp(position + action - 1, 0, tiles - 1);
    return {.reward = position == treasure ? 1.0f : 0.0f, .truncated = ++time == horizon};
  }
};

struct Corridors {
  int task_count() const { return Corridor::tiles; }
  Corridor make(int task) const { return {.treasure = task}; }
};

int main(int argc, char** argv) {
  example::Program program{"Distils Q-learning on a task of one's own", "out/040_your_environment"};

  return program.run(argc, argv, [&](const example::Options& options) {
    const Corridors corridors;
    const TaskSplit split = split_tasks(corridors.task_count(), {.train = 17, .held_out = 4, .seed = options.seed});
    fmt::print("check_environment: {}\n", check_environment(corridors.make(0)).text());

    const auto make_learner = [](int, const Corridor& env) {
      return QLearning{{.episodes = 100}, env.observation_space(), env.action_space()};
    };
    const auto histories =
        collect(corridors, split.train, make_learner,
                {.histories_per_task = 40, .episodes = 100, .seed = options.seed, .thread_count = options.threads});
    std::vector<HistoryView> views;
    for (const LearningHistory& history : histories) views.push_back(history.view());

    const StepLayout layout{.observation_space = Discrete{Corridor::tiles}, .action_space = Discrete{3}};
    const WindowSampler sampler{views, layout, {.context = 80, .subsample = 10, .skip_fraction = 0.3}};
    CausalTransformer<float> model{{.width = 32, .layer_count = 3, .head_count = 4, .context = 80}, layout};
    Rng rng{options.seed};
    model.initialize(rng);
    const int updates = options.quick ? 5 : 600;
    struct Observer {
      example::ProgressBar bar{"distilling"};
      void on_update(const DistilMetrics& m) { bar.show(static_cast<std::size_t>(m.update), 600); }
    } observer;
    const DistilResult trained = distil(model, sampler,
                                        {.updates = updates,
                                         .batch = 32,
                                         .warmup = updates / 10,
                                         .ema_decay = 0.99,
                                         .thread_count = options.threads,
                                         .seed = options.seed},
                                        observer);
    observer.bar.clear();

    const EvaluationConfig evaluation{
        .runs = 16, .episodes = 30, .seed = options.seed, .thread_count = options.threads};
    const LearningCurves curves = evaluate(model, corridors, split.held_out, evaluation, {.temperature = 0.7});
    const std::vector<double> returns = curves.mean_by_episode();
    fmt::print("{} tokens in {:.1f} s. On treasures never trained on, episode by episode:", trained.tokens,
               trained.train_seconds);
    for (const double value : returns) fmt::print(" {:.1f}", value);
    fmt::print("\n");
    example::write_summary(options.out, {{"seed", options.seed},
                                         {"tokens", trained.tokens},
                                         {"train_seconds", trained.train_seconds},
                                         {"held_out_tasks", split.held_out},
                                         {"return_by_episode", returns}});
  });
}
