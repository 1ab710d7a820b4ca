// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// RL2, the online baseline of meta-reinforcement learning, one study per protocol:
//   dark_room                 9 x 9 cells, 20 steps from the center, paid while on the goal; 65 / 0 / 16
//   dark_room_terminating_70  9 x 9, 20 steps from the center, the goal ends the episode; 70 / 0 / 11
//   key_to_door_1000          9 x 9, 50 steps from a random cell; 1000 / 64 / 64
//   bernoulli10               bandits of ten arms, 200 pulls; 30000 / 512 / 512
// The numbers after the semicolons are tasks to train on, of validation and held out.
//
//   rl2 [--study NAME ...] [--seed 1] [--steps 1e7] [--threads 0] [--out out/rl2] [--quick]
//
// Writes OUT/rl2_NAME-sSEED.json, .svg, .csv and .safetensors. What is there is not made again, and an interrupted
// training resumes. The number of updates follows from --steps as if all episodes were as long as they can be, so a
// training takes fewer steps where they end early.
#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/key_to_door.hpp>

#include "study/rl2_study.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

/// What the studies have in common.
bench::Rl2Study study(std::string name, SplitConfig split, int episodes, int trials, int acting_episodes) {
  bench::Rl2Study s{.name = std::move(name),
                    .split = split,
                    .shape = {.width = 48, .layer_count = 2, .state_size = 48, .hidden = 96, .longest_memory = 400},
                    .training = {.trials = trials, .episodes = episodes},
                    .acting_episodes = acting_episodes};
  s.training.optimizer.learning_rate = 2e-3;
  return s;
}

void dark_room(const bench::Rl2StudyOptions& options) {
  bench::run_rl2_study(study("dark_room", {.train = 65, .held_out = 16}, 20, 48, 40), DarkRooms{}, 20, options);
}

void terminating(const bench::Rl2StudyOptions& options) {
  bench::Rl2Study s = study("dark_room_terminating_70", {.train = 70, .held_out = 11}, 20, 48, 40);
  s.closing_token = true;
  s.training.return_scale = 0.3;
  bench::run_rl2_study(std::move(s), DarkRooms{{.terminate_at_goal = true}}, 20, options);
}

void key_to_door(const bench::Rl2StudyOptions& options) {
  bench::Rl2Study s = study("key_to_door_1000", {.train = 1000, .validation = 64, .held_out = 64}, 10, 48, 20);
  s.training.return_scale = 0.3;
  s.runs = 4;
  bench::run_rl2_study(std::move(s), KeyToDoorRooms{}, 50, options);
}

void bernoulli(const bench::Rl2StudyOptions& options) {
  bench::Rl2Study s = study("bernoulli10", {.train = 30000, .validation = 512, .held_out = 512}, 200, 64, 200);
  s.training.return_scale = 0.05;
  s.runs = 1;
  bench::run_rl2_study(std::move(s), BernoulliBandits{}, 1, options);
}

using Study = std::pair<std::string, std::function<void(const bench::Rl2StudyOptions&)>>;

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Study> studies{{"dark_room", dark_room},
                                   {"dark_room_terminating_70", terminating},
                                   {"key_to_door_1000", key_to_door},
                                   {"bernoulli10", bernoulli}};
  std::vector<std::string> names, wanted;
  for (const auto& [name, run] : studies) names.push_back(name);
  bench::Rl2StudyOptions options;
  CLI::App app{"RL2 in grid worlds and on bandits, one study per protocol"};
  app.add_option("--study", wanted, "by default all")->check(CLI::IsMember(names));
  app.add_option("--seed", options.seed)->check(bench::counts);
  app.add_option("--steps", options.steps, "environment steps of the training, at most; 0: those of the study")
      ->check(CLI::Range{0.0, 1e10});
  app.add_option("--threads", options.threads, "0 = all cores")->check(CLI::Range{0, 1024});
  app.add_option("--out", options.out, "folder of results, models and checkpoints");
  app.add_flag("--quick", options.quick, "everything happens, nothing is learned");
  return bench::run_program(app, argc, argv, [&] {
    for (const auto& [name, run] : studies)
      if (wanted.empty() || std::ranges::find(wanted, name) != wanted.end()) run(options);
  });
}
