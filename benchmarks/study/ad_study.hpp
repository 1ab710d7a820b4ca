// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/eval/choose_temperature.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/success.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect_images.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/forgetful_agent.hpp"
#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/progress.hpp"

// Algorithm Distillation on one family of tasks, from the histories to the curves on held-out tasks. What a study
// claims is made of what this measures.
namespace icrl::bench {

/// Episodes first .. last, from 1, over which returns are averaged.
struct EpisodeRange {
  int first, last;
};

/// Protocol and settings of a study. Settings are chosen on validation tasks of seed 1.
struct AdStudy {
  std::string name;
  std::string told;  ///< what source and model were told beyond observations, actions and rewards
  SplitConfig split;
  int histories_per_task = 1;
  int episodes = 14;  ///< of each history
  bool with_images = false;
  bool closing_token = false;
  TransformerConfig shape{};
  WindowConfig windows{};
  DistilConfig distil{};
  std::vector<double> temperatures;  ///< one, or candidates to choose from on validation tasks
  int runs = 8;                      ///< of every held-out task
  int acting_episodes = 100;
  int long_run_episodes = 0;  ///< one more run of every task, this long; 0 = none
  std::vector<EpisodeRange> ranges;
};

/// Tells the settings of one study from those of another.
[[nodiscard]] inline std::string describe(const AdStudy& study) {
  const WindowConfig& w = study.windows;
  return fmt::format(
      "{}/{}/{} tasks; {} histories per task of {} episodes{}{}; windows of {} {}, every {}. episode after {}, {} from the "
      "start; {}; {}; temperatures {}; {} runs of {} episodes, {}",
      study.split.train, study.split.validation, study.split.held_out, study.histories_per_task, study.episodes,
      study.with_images ? ", images" : "", study.closing_token ? ", closing token" : "", w.context, to_string(w.start),
      w.subsample, w.skip_fraction, w.history_start_fraction, icrl::describe(study.distil),
      fmt::format("{} layers of width {}", study.shape.layer_count, study.shape.width),
      fmt::join(study.temperatures, ", "), study.runs, study.acting_episodes, study.long_run_episodes);
}

struct StudyOptions {
  std::uint64_t seed = 1;
  int threads = 0;
  bool quick = false;
  bool on_validation = false;          ///< act on validation tasks instead of held-out ones, to choose settings
  std::vector<double> temperatures{};  ///< to choose from on validation tasks; empty = the study's own
  std::filesystem::path out = "out/study";
};

/// Everything happens, nothing is learned.
[[nodiscard]] inline AdStudy quick_study(AdStudy study) {
  study.split.train = std::min(study.split.train, 4);
  study.split.validation = std::min(study.split.validation, 2);
  study.split.held_out = std::min(study.split.held_out, 3);
  study.histories_per_task = std::min(study.histories_per_task, 2);
  study.distil.updates = 4;
  study.distil.batch = 8;
  study.distil.warmup = 2;
  study.runs = 2;
  study.acting_episodes = std::min(study.acting_episodes, 10);
  study.long_run_episodes = std::min(study.long_run_episodes, 20);
  std::erase_if(study.ranges, [&](const EpisodeRange& range) { return range.last > study.acting_episodes; });
  return study;
}

namespace detail {

/// The mean return of each task over a range of episodes.
[[nodiscard]] inline Json range_json(const LearningCurves& curves, EpisodeRange range) {
  return {
      {"first", range.first}, {"last", range.last}, {"return_by_task", curves.mean_by_task(range.first, range.last)}};
}

/// All tasks but those of validation and those held out.
[[nodiscard]] inline std::vector<int> not_tested(int task_count, const TaskSplit& split) {
  std::vector<bool> is_tested(static_cast<std::size_t>(task_count));
  for (const auto* tasks : {&split.validation, &split.held_out})
    for (const int task : *tasks) is_tested[static_cast<std::size_t>(task)] = true;
  std::vector<int> rest;
  for (int task = 0; task < task_count; ++task)
    if (!is_tested[static_cast<std::size_t>(task)]) rest.push_back(task);
  return rest;
}

/// A distilled model and how its training went.
template <Trainable M>
struct StudyModel {
  M model;
  DistilResult training;
  ImageCounts images;
  std::int64_t recorded_steps = 0;
};

}  // namespace detail

/// Records the histories of `make_learner(task, env, rng)` on the training tasks and distils them. Images of held-out
/// and of validation tasks are dropped: to the model these tasks are new. A training that was interrupted resumes from
/// its checkpoint.
template <Trainable M, TaskFamily F, typename MakeLearner>
[[nodiscard]] detail::StudyModel<M> distil_study(const AdStudy& study, const F& family, const TaskSplit& split,
                                                 MakeLearner make_learner, const StudyOptions& options) {
  example::ProgressBar bar{study.name + ": recording"};
  const CollectConfig collection{.histories_per_task = study.histories_per_task,
                                 .episodes = study.episodes,
                                 .seed = options.seed,
                                 .thread_count = options.threads,
                                 .algorithm = study.name,
                                 .with_expert_action = study.windows.use_expert_action};
  CollectedHistories recorded{collect(family, split.train, make_learner, collection, bar.counter()), {}};
  if (study.with_images) {
    if constexpr (HasSymmetries<F>) {
      SymmetricImages images{family, detail::not_tested(family.task_count(), split)};
      std::vector<LearningHistory> made;
      for (const LearningHistory& history : recorded.histories)
        images.make(history.view(), [&](LearningHistory&& image) { made.push_back(std::move(image)); });
      std::ranges::move(made, std::back_inserter(recorded.histories));
      recorded.image_counts = images.counts();
    }
  }
  std::vector<HistoryView> views;
  std::int64_t steps = 0;
  for (const LearningHistory& history : recorded.histories) {
    views.push_back(history.view());
    steps += history.step_count();
  }

  const auto env = family.make(0);
  M model{study.shape,
          {.observation_space = env.observation_space(),
           .action_space = env.action_space(),
           .closing_token = study.closing_token}};
  Rng rng{options.seed};
  model.initialize(rng);
  const WindowSampler sampler{std::move(views), model.layout, study.windows};
  DistilConfig config = study.distil;
  config.thread_count = options.threads;
  config.seed = options.seed;
  config.checkpoint = options.out / fmt::format("{}-s{}.checkpoint", study.name, options.seed);
  config.checkpoint_every = 200;
  config.evaluate_every = 0;
  TrainingProgress progress{.bar = example::ProgressBar{study.name + ": distilling"},
                            .updates = static_cast<std::size_t>(config.updates)};
  const DistilResult trained = distil(model, sampler, config, progress);
  save_model(model, options.out / fmt::format("{}-s{}.safetensors", study.name, options.seed));
  return {std::move(model), trained, recorded.image_counts, steps};
}

/// Throws Error if a result was made with other settings.
inline void check_settings(const std::filesystem::path& path, const std::string& settings) {
  const Json result = parse_json(text_of(path), path.string());
  const std::string found = result.value("settings", "");
  if (found != settings)
    fail("{}: was made with other settings ({}); this study has ({}). Remove it, or choose another --out",
         path.string(), found, settings);
}

/// Runs a study of a model of type M and writes `NAME-sSEED.json` into the folder, or `NAME-validation-sSEED.json`. If
/// the file is there, it does nothing.
template <Trainable M = CausalTransformer<float>, TaskFamily F, typename MakeLearner>
requires HasOracleReturn<F> && HasRandomReturn<F>
void run_study(AdStudy study, const F& family, MakeLearner make_learner, const StudyOptions& options) {
  if (options.quick) study = quick_study(std::move(study));
  std::filesystem::create_directories(options.out);
  if (options.on_validation) study.name += "-validation";
  if (!options.temperatures.empty()) study.temperatures = options.temperatures;
  const auto path = options.out / fmt::format("{}-s{}.json", study.name, options.seed);
  const std::string settings = describe(study);
  if (study.split.validation == 0 && (options.on_validation || study.temperatures.size() > 1)) {
    fail("{}: has no validation tasks, on which {}", study.name,
         options.on_validation ? "--on-validation acts" : "temperatures would be chosen");
  }
  if (std::filesystem::exists(path)) {
    check_settings(path, settings);
    fmt::print("{} exists, skipped\n", path.string());
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  study.split.seed = options.seed;
  const TaskSplit split = split_tasks(family.task_count(), study.split);
  const std::vector<int>& tested = options.on_validation ? split.validation : split.held_out;
  const auto [model, trained, images, steps] = distil_study<M>(study, family, split, make_learner, options);
  const std::string weights_before = fmt::format("{:08x}", weights_checksum(model));

  example::ProgressBar bar{study.name + ": acting"};
  EvaluationConfig acting{.runs = std::max(1, study.runs / 2),
                          .episodes = study.acting_episodes,
                          .seed = options.seed + 1,
                          .thread_count = options.threads};
  TemperatureChoice choice{.temperature = study.temperatures.front(), .scores = {}};
  if (study.temperatures.size() > 1)
    choice = choose_temperature(model, family, split.validation, study.temperatures, acting, {}, bar.counter());
  const Decoding decoding{.temperature = choice.temperature};
  acting.runs = study.runs;
  acting.seed = options.seed;
  const LearningCurves agent = evaluate(model, family, tested, acting, decoding, bar.counter());
  const LearningCurves source = evaluate_learner(make_learner, family, tested, acting);
  const ReferenceReturns references = reference_returns(family, tested);

  Json ranges = Json::array(), source_ranges = Json::array(), scores = Json::array();
  for (const EpisodeRange range : study.ranges) {
    ranges.push_back(detail::range_json(agent, range));
    source_ranges.push_back(detail::range_json(source, range));
  }
  for (const TemperatureScore& score : choice.scores)
    scores.push_back({{"temperature", score.temperature}, {"validation_return", score.mean_return.value}});
  const SuccessCounts successes = icrl::successes(agent, 0.5);
  Json result{{"study", study.name},
              {"seed", options.seed},
              {"quick", options.quick},
              {"settings", settings},
              {"told", study.told},
              {"training_tasks", split.train.size()},
              {"histories_per_task", study.histories_per_task},
              {"recorded_steps", steps},
              {"kept_images", images.kept},
              {"dropped_images", images.dropped},
              {"weights", parameter_count(model)},
              {"tokens", trained.tokens},
              {"train_seconds", trained.train_seconds},
              {"temperature", choice.temperature},
              {"temperature_scores", scores},
              {"tasks", tested},
              {"runs", study.runs},
              {"oracle_by_task", references.oracle},
              {"random_by_task", references.random},
              {"return_by_episode", agent.mean_by_episode()},
              {"source_return_by_episode", source.mean_by_episode()},
              {"ranges", ranges},
              {"source_ranges", source_ranges},
              {"ever_found", successes.ever_found()},
              {"kept_after_first_success", successes.kept_after_first_success().value_or(0)}};
  if (study.long_run_episodes > 0) {
    acting.episodes = study.long_run_episodes;
    acting.runs = 1;
    const LearningCurves curves = evaluate(model, family, tested, acting, decoding, bar.counter());
    const int last = study.long_run_episodes;
    result["long_run"] = {detail::range_json(curves, {last / 10 - 9 > 0 ? last / 10 - 9 : 1, std::max(1, last / 10)}),
                          detail::range_json(curves, {last - 9, last})};
  }
  bar.clear();
  result["weights_before"] = weights_before;
  result["weights_after"] = fmt::format("{:08x}", weights_checksum(model));
  result["cpu"] = processor_name();
  result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  write_text(path, to_text(result, path.string(), 1) + "\n");
  std::filesystem::remove(options.out / fmt::format("{}-s{}.checkpoint", study.name, options.seed));

  std::string shares;
  for (const EpisodeRange range : study.ranges)
    shares += fmt::format(" {}-{}: {:.3f} (source {:.3f})", range.first, range.last,
                          share_of_oracle(agent, references, range.first, range.last),
                          share_of_oracle(source, references, range.first, range.last));
  fmt::print(
      "{} seed {}: trained {:.0f} s, temperature {}; share of the oracle in episodes{}; found {:.3f}, kept {:.3f}\n",
      study.name, options.seed, trained.train_seconds, choice.temperature, shares, successes.ever_found(),
      successes.kept_after_first_success().value_or(0));
}

/// The control of a study that was run with this seed: its model once more on the same tasks, each agent's memory being
/// emptied after every episode. Writes `NAME-forgetting-sSEED.json`, unless it is there. Throws Error if the agents
/// improve all the same, by more than .05 of the oracle from the study's first range of episodes to its last.
template <Trainable M = CausalTransformer<float>, TaskFamily F>
requires HasOracleReturn<F> && HasRandomReturn<F>
void run_forgetting_control(AdStudy study, const F& family, const StudyOptions& options) {
  if (options.quick) study = quick_study(std::move(study));
  if (options.on_validation) study.name += "-validation";
  if (!options.temperatures.empty()) study.temperatures = options.temperatures;
  const auto path = options.out / fmt::format("{}-forgetting-s{}.json", study.name, options.seed);
  const auto result_path = options.out / fmt::format("{}-s{}.json", study.name, options.seed);
  check_settings(result_path, describe(study));
  if (std::filesystem::exists(path)) {
    check_settings(path, describe(study));
    fmt::print("{} exists, skipped\n", path.string());
    return;
  }
  const Json measured = parse_json(text_of(result_path), result_path.string());
  const M model = load_model<M>(options.out / fmt::format("{}-s{}.safetensors", study.name, options.seed));
  if (const std::string found = fmt::format("{:08x}", weights_checksum(model)); found != measured.at("weights_after"))
    fail("{}: was measured with other weights than the model beside it has ({})", result_path.string(), found);
  const Decoding decoding{.temperature = measured.at("temperature").get<double>()};
  const auto tasks = measured.at("tasks").get<std::vector<int>>();
  const auto make_agent = [&](int, const auto&) { return example::ForgetfulAgent{model, decoding}; };
  const EvaluationConfig acting{.runs = measured.at("runs").get<int>(),
                                .episodes = study.acting_episodes,
                                .seed = options.seed,
                                .thread_count = options.threads};
  const LearningCurves curves = evaluate_learner(make_agent, family, tasks, acting);
  Json ranges = Json::array();
  std::string shares;
  const ReferenceReturns references = reference_returns(family, tasks);
  for (const EpisodeRange range : study.ranges) {
    ranges.push_back(detail::range_json(curves, range));
    shares += fmt::format(" {}-{}: {:.3f}", range.first, range.last,
                          share_of_oracle(curves, references, range.first, range.last));
  }
  fmt::print("{} seed {}, memory emptied after every episode: share of the oracle in episodes{}\n", study.name,
             options.seed, shares);
  const auto share = [&](EpisodeRange range) { return share_of_oracle(curves, references, range.first, range.last); };
  // Quick agents have learned nothing, and so few lives differ by chance.
  if (const double gain = share(study.ranges.back()) - share(study.ranges.front()); gain > 0.05 && !options.quick)
    fail("{} seed {}: improves by {:.3f} of the oracle without a memory", study.name, options.seed, gain);
  const Json result{{"control", "memory emptied after every episode"},
                    {"of", study.name},
                    {"seed", options.seed},
                    {"quick", options.quick},
                    {"settings", describe(study)},
                    {"return_by_episode", curves.mean_by_episode()},
                    {"ranges", ranges}};
  write_text(path, to_text(result, path.string(), 1) + "\n");
}

}  // namespace icrl::bench
