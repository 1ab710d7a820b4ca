// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Everything around the model, on one thread: stepping a Dark Room, recording random and Q-learning histories, writing
// histories to disk with their checksums, reading windows from them.
//
//   env_benchmark [--seconds 1] [--folder FOLDER]
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/measurement.hpp"

using namespace icrl;

namespace {

constexpr int episode_count = 200;

struct Bench {
  double seconds;

  /// `work` does `amount` units of work each time it is called.
  void operator()(const std::string& name, double amount, const std::string& unit,
                  const std::function<void()>& work) const {
    const auto times = bench::time_calls(seconds, work);
    bench::print({.name = name, .value = amount / bench::quantile(times, 0.5), .unit = unit});
  }
};

float step_room(DarkRoom room, int steps, Rng& rng) {
  float total_reward = 0;
  for (int i = 0; i < steps; ++i) {
    const StepResult result = room.step(rng.below(5), rng);
    total_reward += result.reward;
    if (result.truncated) room.reset(rng);
  }
  return total_reward;
}

LearningHistory record_q_learning(const DarkRoom& room, Rng& rng) {
  QLearning learner{QLearningConfig{.episodes = episode_count}, room.observation_space(), room.action_space()};
  return run(learner, room, episode_count, rng);
}

}  // namespace

int main(int argc, char** argv) {
  Bench measure{1};
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  CLI::App app{"Measures environments, learners and the store of histories"};
  app.add_option("--seconds", measure.seconds, "time for each measurement")->check(CLI::PositiveNumber);
  app.add_option("--folder", folder, "where a temporary file may be written")->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);

  const DarkRooms rooms;
  const DarkRoom room = rooms.make(17);
  const double steps = episode_count * rooms.options().horizon;
  Rng rng{0};
  volatile float total_reward = 0;  // so that no compiler leaves the steps out
  measure("env_step_dark_room", steps, "steps/s",
          [&] { total_reward = step_room(room, static_cast<int>(steps), rng); });
  measure("env_record_random", steps, "steps/s", [&] {
    RandomPolicy policy{room.action_space()};
    run(policy, room, episode_count, rng);
  });
  measure("env_record_q_learning", steps, "steps/s", [&] { record_q_learning(room, rng); });

  const LearningHistory history = record_q_learning(room, rng);
  const auto path = folder / "icrl_env_benchmark.histories";
  constexpr int copies = 100;
  measure("env_write_histories", copies * steps, "steps/s", [&] {
    std::filesystem::remove(path);
    HistoryWriter writer{path};
    for (int i = 0; i < copies; ++i) writer.append(history.view());
    writer.sync();
  });
  measure("env_read_histories", copies * steps, "steps/s", [&] {
    const HistoryFile file{path};
    for (int i = 0; i < file.history_count(); ++i) (void)file.history(i);  // verifies the history's checksum
  });
  {
    const HistoryFile file{path};
    std::vector<HistoryView> views;
    for (int i = 0; i < file.history_count(); ++i) views.push_back(file.history(i));
    const StepLayout layout{room.observation_space(), room.action_space()};
    const WindowSampler sampler{views, layout, {.context = 80}};
    ContextBatch batch;
    measure("env_sample_windows", 128 * 80, "tokens/s", [&] { sampler.sample(128, rng.fork(rng.bits()), batch); });
  }
  std::filesystem::remove(path);
}
