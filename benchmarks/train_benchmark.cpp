// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Tokens a second of whole training steps: windows sampled from recorded histories, forward, loss at every position,
// backward, clip, AdamW. One token is one environment step.
//
//   train_benchmark WIDTH LAYERS HEADS CONTEXT BATCH [--threads 2] [--seconds 5]
#include <vector>

#include <CLI/CLI.hpp>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/measurement.hpp"
#include "support/shape.hpp"

using namespace icrl;

namespace {

/// Histories of random behaviour in rooms with 20 steps an episode, each three windows long or more.
std::vector<LearningHistory> record_histories(int context) {
  const DarkRooms rooms;
  const int episodes = 3 * context / rooms.options().horizon + 1;
  std::vector<LearningHistory> histories;
  for (int task = 0; task < rooms.task_count(); ++task) {
    const DarkRoom room = rooms.make(task);
    RandomPolicy policy{room.action_space()};
    Rng rng{0, static_cast<std::uint64_t>(task)};
    histories.push_back(run(policy, room, episodes, rng));
  }
  return histories;
}

/// FLOPs of one token's forward and backward pass: 6 a weight of the blocks' and the head's matrices, and causal
/// attention.
double flop_per_token(const bench::Shape& shape, int output_size) {
  const double d = shape.width, L = shape.layers, T = shape.context;
  return 6 * (12 * L * d * d + d * output_size) + 6 * L * d * T;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Shape shape;
  int batch = 64, threads = 2;
  double seconds = 5;
  CLI::App app{"Measures training in tokens a second"};
  bench::add_options(app, shape);
  app.add_option("batch", batch, "sequences an update")->required()->check(CLI::PositiveNumber);
  app.add_option("--threads", threads)->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  const std::vector<LearningHistory> histories = record_histories(shape.context);
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  const StepLayout layout{views[0].info().observation_space, views[0].info().action_space};
  const WindowSampler sampler{views, layout, {.context = shape.context}};
  CausalTransformer<float> model{shape.config(), layout};
  Rng rng{0};
  model.initialise(rng);
  DistilTrainer trainer{model, sampler, DistilConfig{.batch = batch, .thread_count = threads}};

  const auto times = bench::time_calls(seconds, [&] { trainer.step(); });

  const double rate = batch * shape.context / bench::quantile(times, 0.5);
  bench::print({.name = fmt::format("train_{}_B{}", shape.text(), batch),
                .value = rate,
                .unit = "tokens/s",
                .details = {{"gflop_per_s", rate * flop_per_token(shape, model.actions.parameter_count()) / 1e9},
                            {"threads", threads}}});
}
