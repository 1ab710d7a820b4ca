// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/env/bandit.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/regret.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/thompson_sampling.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/model/recurrent_value_model.hpp>
#include <icrl/train/rl2_trainer.hpp>

#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/progress.hpp"

// RL2 on one family of tasks, from a fresh model to the curves on held-out tasks: what Algorithm Distillation is
// compared with.
namespace icrl::bench {

/// Protocol and settings of a study. Splits are those of the studies of Algorithm Distillation, so that both are tested
/// on the same held-out tasks.
struct Rl2Study {
  std::string name;
  SplitConfig split;
  bool closing_token = false;
  RecurrentConfig shape{};
  Rl2Config training{};  ///< the number of updates follows from the steps
  double steps = 10e6;   ///< environment steps of the training, of all trials, if no episode ends early
  int runs = 8;          ///< of every held-out task
  int acting_episodes;   ///< of every run
};

struct Rl2StudyOptions {
  std::uint64_t seed = 1;
  double steps = 0;  ///< 0: the study's own
  int threads = 0;
  bool quick = false;
  std::filesystem::path out = "out/rl2";
};

/// Tells the settings of one study from those of another.
[[nodiscard]] inline std::string describe(const Rl2Study& study) {
  return fmt::format("{}/{}/{} tasks; {}{}; {}; {} runs of {} episodes", study.split.train, study.split.validation,
                     study.split.held_out, icrl::describe(study.shape), study.closing_token ? ", closing token" : "",
                     icrl::describe(study.training), study.runs, study.acting_episodes);
}

/// Everything happens, nothing is learned.
[[nodiscard]] inline Rl2Study quick_study(Rl2Study study) {
  study.split = {.train = std::min(study.split.train, 8), .held_out = std::min(study.split.held_out, 3)};
  study.training.trials = 8;
  study.training.episodes = std::min(study.training.episodes, 3);
  study.steps = 1;
  study.runs = 2;
  study.acting_episodes = std::min(study.acting_episodes, 6);
  return study;
}

namespace detail {

/// A time as people say it: 45 s, 12 min, 3.5 h.
[[nodiscard]] inline std::string duration_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  return seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

/// Trains the model, from its checkpoint if there is one, and returns what its updates did. `curve_path`: where that is
/// kept beside the checkpoint.
template <TaskFamily F>
Json train_by_rl2(RecurrentValueModel<float>& model, const F& family, std::span<const int> tasks, const Rl2Study& study,
                  const std::filesystem::path& checkpoint, const std::filesystem::path& curve_path,
                  DistilProgress& progress) {
  constexpr int checkpoint_every = 50;
  Rl2Trainer trainer{model, family, tasks, study.training};
  Json curve = Json::array();
  if (std::filesystem::exists(checkpoint)) {
    trainer.restore(checkpoint);
    // Written before the checkpoint, so it may be longer than the run that resumes.
    for (const Json& row : parse_json(text_of(curve_path), curve_path.string()))
      if (row.at(0).get<std::int64_t>() <= trainer.progress().tokens) curve.push_back(row);
  }
  example::ProgressBar bar{study.name + ": training"};
  const int updates = study.training.updates, sampled = std::max(1, updates / 100);
  while (trainer.progress().update < updates) {
    const Rl2Metrics m = trainer.step();
    const double left = m.seconds / m.update * (updates - m.update);
    bar.show(static_cast<std::size_t>(m.update), static_cast<std::size_t>(updates),
             fmt::format("return {:.2f} -> {:.2f}, {:.1f} M steps, {:.0f} per s, {} left", m.first_return,
                         m.last_return, static_cast<double>(m.steps) / 1e6, m.steps_per_second, duration_text(left)));
    if (m.update % sampled == 0 || m.update == updates)
      curve.push_back({m.steps, m.first_return, m.last_return, m.entropy});
    if (m.update % checkpoint_every == 0 && m.update < updates) {
      write_text(curve_path, curve.dump());
      trainer.save(checkpoint);
    }
  }
  progress = trainer.progress();
  return curve;
}

/// Returns by episode as a share of the mean oracle.
[[nodiscard]] inline std::vector<double> shares(const std::vector<double>& returns, const std::vector<double>& oracle) {
  std::vector<double> values = returns;
  for (double& value : values) value /= mean(oracle);
  return values;
}

inline std::string csv_of(const Json& curve) {
  std::string text = "steps,first_return,last_return,entropy\n";
  for (const Json& row : curve)
    text += fmt::format("{},{},{},{}\n", row[0].get<std::int64_t>(), row[1].get<double>(), row[2].get<double>(),
                        row[3].get<double>());
  return text;
}

}  // namespace detail

/// Runs a study and writes `rl2_NAME-sSEED.json`, a picture of the returns by episode and the curve of the training as
/// CSV into the folder. If the JSON is there, it does nothing; a training that was interrupted resumes.
template <TaskFamily F>
requires HasOracleReturn<F> && HasRandomReturn<F>
void run_rl2_study(Rl2Study study, const F& family, int steps_per_episode, const Rl2StudyOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  if (options.steps > 0) study.steps = options.steps;
  if (options.quick) study = quick_study(std::move(study));
  const double steps_per_update = 1.0 * study.training.trials * study.training.episodes * steps_per_episode;
  study.training.updates = std::max(2, static_cast<int>(study.steps / steps_per_update));
  study.training.warmup = std::min(study.training.warmup, study.training.updates);
  study.training.seed = study.split.seed = options.seed;
  std::filesystem::create_directories(options.out);
  const auto path = [&](const char* ending) {
    return options.out / fmt::format("rl2_{}-s{}.{}", study.name, options.seed, ending);
  };
  const std::string settings = describe(study);
  if (std::filesystem::exists(path("json"))) {
    const Json found = parse_json(text_of(path("json")), path("json").string());
    if (found.value("settings", "") != settings)
      fail("{}: was made with other settings ({}); this study has ({}). Remove it, or choose another --out",
           path("json").string(), found.value("settings", ""), settings);
    fmt::print("{} exists, skipped\n", path("json").string());
    return;
  }
  study.training.thread_count = options.threads;
  const TaskSplit split = split_tasks(family.task_count(), study.split);
  const auto env = family.make(0);
  RecurrentValueModel<float> model{study.shape,
                                   {.observation_space = env.observation_space(),
                                    .action_space = env.action_space(),
                                    .closing_token = study.closing_token}};
  Rng rng{options.seed};
  model.initialize(rng);
  DistilProgress progress;
  const Json curve =
      detail::train_by_rl2(model, family, split.train, study, path("checkpoint"), path("curve"), progress);
  save_model(model, path("safetensors"));
  const std::string weights_before = fmt::format("{:08x}", weights_checksum(model));

  example::ProgressBar bar{study.name + ": acting"};
  const EvaluationConfig acting{
      .runs = study.runs, .episodes = study.acting_episodes, .seed = options.seed, .thread_count = options.threads};
  // As many training tasks as held-out ones, to tell what was learned of tasks from what was learned of these tasks.
  const std::span<const int> trained =
      std::span{split.train}.first(std::min(split.train.size(), split.held_out.size()));
  const LearningCurves held_out = evaluate(model, family, split.held_out, acting, {}, bar.counter()),
                       on_trained = evaluate(model, family, trained, acting, {}, bar.counter());
  const ReferenceReturns references = reference_returns(family, split.held_out),
                         trained_references = reference_returns(family, trained);
  const int last = study.acting_episodes, trial = std::min(study.training.episodes, last),
            first = trial - std::max(1, trial / 10) + 1;
  const double share = share_of_oracle(held_out, references, first, trial),
               trained_share = share_of_oracle(on_trained, trained_references, first, trial);
  Json result{{"study", "rl2_" + study.name},
              {"seed", options.seed},
              {"quick", options.quick},
              {"settings", settings},
              {"told", ""},
              {"training_tasks", split.train.size()},
              {"trial_episodes", study.training.episodes},
              {"steps", progress.tokens},
              {"weights", parameter_count(model)},
              {"train_seconds", progress.seconds},
              {"tasks", split.held_out},
              {"runs", study.runs},
              {"oracle_by_task", references.oracle},
              {"random_by_task", references.random},
              {"return_by_episode", held_out.mean_by_episode()},
              {"training_oracle_by_task", trained_references.oracle},
              {"training_return_by_episode", on_trained.mean_by_episode()},
              {"ranges",
               {{{"first", first}, {"last", trial}, {"return_by_task", held_out.mean_by_task(first, trial)}},
                {{"first", 1}, {"last", last}, {"return_by_task", held_out.mean_by_task(1, last)}}}},
              {"share_late_in_trial", share},
              {"training_share_late_in_trial", trained_share},
              {"training_curve", curve}};
  if constexpr (HasExpectedReward<EnvironmentOf<F>>) {
    const auto make_thompson = [](int, const auto& bandit) { return BernoulliThompson{arm_count(bandit)}; };
    EvaluationConfig pulls = acting;
    pulls.episodes = trial;
    result["regret_by_task"] = total_by_task(evaluate_regret(model, family, split.held_out, pulls));
    result["thompson_regret_by_task"] =
        total_by_task(evaluate_learner_regret(make_thompson, family, split.held_out, pulls));
  }
  bar.clear();
  result["weights_before"] = weights_before;
  result["weights_after"] = fmt::format("{:08x}", weights_checksum(model));
  result["cpu"] = processor_name();
  result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  Plot plot{.title = fmt::format("RL2, {}: {:.1f} M steps, seed {}", study.name,
                                 static_cast<double>(progress.tokens) / 1e6, options.seed),
            .y_label = "return / oracle"};
  plot.series = {{.name = "held-out tasks", .y = detail::shares(held_out.mean_by_episode(), references.oracle)},
                 {.name = "training tasks",
                  .y = detail::shares(on_trained.mean_by_episode(), trained_references.oracle),
                  .stroke = PlotStroke::dashed}};
  plot.levels = {{"oracle", 1}, {"random actions", mean(references.random) / mean(references.oracle)}};
  write_text(path("svg"), to_svg(plot));
  write_text(path("csv"), detail::csv_of(curve));
  write_text(path("json"), to_text(result, path("json").string(), 1) + "\n");
  std::filesystem::remove(path("checkpoint"));
  std::filesystem::remove(path("curve"));
  fmt::print(
      "{} seed {}: {:.2f} M steps in {:.0f} s; share of the oracle in episodes {}-{} of a trial: held-out {:.3f}, training "
      "{:.3f}\n",
      study.name, options.seed, static_cast<double>(progress.tokens) / 1e6, progress.seconds, first, trial, share,
      trained_share);
  if (result.contains("regret_by_task"))
    fmt::print("  regret of {} pulls: {:.2f}, of Thompson sampling {:.2f}\n", trial,
               mean(result["regret_by_task"].get<std::vector<double>>()),
               mean(result["thompson_regret_by_task"].get<std::vector<double>>()));
}

}  // namespace icrl::bench
