// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Algorithm Distillation from pixels: the water maze of Laskin et al. (2022), 24 x 32 pixels, 50 steps from the center,
// a step onto the hidden platform pays 1 and ends the episode; 1000 / 32 / 32 platforms.
//
//   watermaze [--seed 1] [--threads 0] [--out out/study] [--on-validation] [--temperatures 0.3 0.5 0.7] [--quick]
//             [--forget]
//
// Writes OUT/watermaze-sSEED.json; with --forget, after a run without it, the control whose memory is emptied after
// every episode, OUT/watermaze-forgetting-sSEED.json. What is there is not made again, and an interrupted training
// resumes.
#include <icrl/env/watermaze.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/watermaze_explorer.hpp>
#include <icrl/model/image_step_encoder.hpp>

#include "study/ad_study.hpp"
#include "support/program.hpp"

using namespace icrl;

int main(int argc, char** argv) {
  using Model = CausalTransformer<float, ImageParts<float>>;
  bench::StudyOptions options;
  bool forget = false;
  bench::AdStudy study{.name = "watermaze",
                       .told =
                           "the source knows the pool, the platform's size and how actions move it, and keeps track "
                           "of where it is; the model sees pixels",
                       .split = {.train = 1000, .validation = 32, .held_out = 32},
                       .episodes = 10,
                       .closing_token = true,
                       .shape = {.context = 200, .convolutions = {16, 5, 2, 32, 3, 2, 32, 3, 1}},
                       .windows = {.context = 200, .use_expert_action = true},
                       .distil = {.updates = 1000, .batch = 32, .warmup = 200, .weight_decay = 0.3, .ema_decay = 0.99},
                       .temperatures = {0.5},
                       .runs = 8,
                       .acting_episodes = 50,
                       .ranges = {{1, 5}, {6, 10}, {41, 50}, {46, 50}}};
  CLI::App app{"Algorithm Distillation in a water maze, from pixels"};
  app.add_option("--seed", options.seed)->check(bench::counts);
  app.add_option("--threads", options.threads, "0 = all cores")->check(CLI::Range{0, 1024});
  app.add_option("--out", options.out, "folder of results, models and checkpoints");
  app.add_option("--temperatures", options.temperatures,
                 "to choose from on validation tasks, by default the study's own");
  app.add_flag("--on-validation", options.on_validation, "act on validation tasks instead, to choose settings");
  app.add_flag("--forget", forget, "the control: the memory is emptied after every episode");
  app.add_flag("--quick", options.quick, "everything happens, nothing is learned");
  return bench::run_program(app, argc, argv, [&] {
    const Watermazes mazes{};
    if (forget) return bench::run_forgetting_control<Model>(study, mazes, options);
    const auto make_learner = [](int, const Watermaze& maze, Rng& rng) {
      return NoisyLearner{WatermazeExplorer{maze.options()}, maze.action_space(), {.max_noise = 0.3}, rng};
    };
    bench::run_study<Model>(study, mazes, make_learner, options);
  });
}
