// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect_images.hpp>
#include <icrl/learner/dark_room_oracle.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/systematic_explorer.hpp>
#include <icrl/train/metrics.hpp>
#if defined(ICRL_COMPILED)
#include <icrl/compiled/compiled_trainer.hpp>
#else
#include <icrl/train/distil.hpp>
#endif

#include "support/progress.hpp"

// How Algorithm Distillation is done in the Dark Room: which source's histories are recorded, how they are cut into
// windows, what is trained on them and how it then acts. Settings were chosen on validation goals; held-out goals had
// no part in it.
namespace example {

#if defined(ICRL_COMPILED)  // a program that links icrl::compiled
using Transformer = icrl::CompiledTransformer;
#else
using Transformer = icrl::CausalTransformer<float>;
#endif

/// Who lives the histories that are distilled.
enum class Source { q_learning, systematic_explorer, oracle };

[[nodiscard]] inline std::string_view name_of(Source source) {
  switch (source) {
    case Source::q_learning:
      return "q_learning";
    case Source::systematic_explorer:
      return "systematic_explorer";
    case Source::oracle:
      return "oracle";
  }
  return {};
}

/// Which turned and mirrored images of the histories are trained on as well.
enum class Images {
  none,
  of_training_tasks,  ///< those that are histories of another training room
  all                 ///< control: also those in rooms held out, which are then not new to the model
};

[[nodiscard]] inline std::string_view to_string(Images images) {
  switch (images) {
    case Images::none:
      return "no images";
    case Images::of_training_tasks:
      return "images of training tasks";
    case Images::all:
      break;
  }
  return "all images";
}

struct Recipe {
  Source source;
  int histories_per_task;
  int episodes;          ///< of each history
  double max_noise = 0;  ///< share of random actions, drawn once per history from 0 .. max_noise
  Images images = Images::of_training_tasks;
  icrl::WindowConfig windows;
  icrl::DistilConfig distil;
  icrl::Decoding decoding;
  int validation_runs = 8;  ///< runs in each validation room by which updates are chosen
};

/// Q-learning begins with high values, so that it tries everything (Sutton & Barto, 2018, section 2.6), and takes 100
/// episodes to learn. Its histories are thinned to about eight, so that a window of four shows progress. Half of the
/// windows begin where the history does: one from its middle begins with a learner that knows things the window does
/// not show, and an agent with an empty memory should not act like that. The last weights are taken: scores on eight
/// validation rooms differ less than they scatter, and weights of a third of the updates are the worst.
[[nodiscard]] inline Recipe q_learning_recipe() {
  return {.source = Source::q_learning,
          .histories_per_task = 10,
          .episodes = 100,
          .windows = {.context = 80, .subsample = 12, .skip_fraction = 0.1, .history_start_fraction = 0.5},
          .distil = {.updates = 1200, .batch = 32, .weight_decay = 0.3, .ema_decay = 0.99, .evaluate_every = 1200},
          .decoding = {.temperature = 0.7, .min_p = 0.1}};
}

/// The explorer has seen every cell after about five episodes; all 14 are kept, and a window holds eight. Its noise
/// leads it where it would not go, and the labels tell how it goes on from there. The last weights are taken here too:
/// in validation rooms the model is better in episodes 9 and 10 at 1600 updates than at 800, for every seed tried.
[[nodiscard]] inline Recipe systematic_explorer_recipe() {
  return {.source = Source::systematic_explorer,
          .histories_per_task = 20,
          .episodes = 14,
          .max_noise = 0.3,
          .windows = {.context = 160, .history_start_fraction = 0.7, .use_expert_action = true},
          .distil = {.updates = 1600, .batch = 16, .weight_decay = 0.3, .ema_decay = 0.99, .evaluate_every = 1600},
          .decoding = {.temperature = 0.3}};
}

/// Tells one recipe from another.
[[nodiscard]] inline std::string describe(const Recipe& recipe) {
  const icrl::WindowConfig& w = recipe.windows;
  return fmt::format(
      "{}, {} histories per task of {} episodes, noise up to {}, {}; windows of {} {}, every {}. episode after {}, {} "
      "from the start, {}, labels {}; {}; temperature {}, min_p {}",
      name_of(recipe.source), recipe.histories_per_task, recipe.episodes, recipe.max_noise, to_string(recipe.images),
      w.context, to_string(w.start), w.subsample, w.skip_fraction, w.history_start_fraction,
      w.shuffle_episodes ? "shuffled" : "in order", w.use_expert_action ? "intended" : "taken",
      icrl::describe(recipe.distil), recipe.decoding.temperature, recipe.decoding.min_p);
}

/// As --quick has it: everything happens, nothing is learned.
[[nodiscard]] inline Recipe quick_recipe(Recipe recipe) {
  recipe.histories_per_task = 2;
  recipe.distil.updates = 4;
  recipe.distil.warmup = 2;
  recipe.distil.batch = 8;
  recipe.validation_runs = 1;
  return recipe;
}

/// What makes a fresh learner for a room. Functions of their own, so that a source's is one type wherever it is used.
[[nodiscard]] inline auto q_learning_maker(int episodes) {
  return [episodes](int, const icrl::DarkRoom& room) {
    const icrl::QLearningConfig config{.epsilon_start = 0.5, .episodes = episodes, .initial_value = 1};
    return icrl::QLearning{config, room.observation_space(), room.action_space()};
  };
}
[[nodiscard]] inline auto systematic_explorer_maker(double max_noise) {
  return [max_noise](int, const icrl::DarkRoom& room, icrl::Rng& rng) {
    const icrl::GridMoves moves{room.options().side};
    const icrl::NoisyLearnerConfig noise{.max_noise = max_noise};
    return icrl::NoisyLearner{icrl::SystematicExplorer{moves, {.noise = 0, .random_ties = false}}, room.action_space(),
                              noise, rng};
  };
}
[[nodiscard]] inline auto oracle_maker() {
  return [](int, const icrl::DarkRoom& room) { return icrl::DarkRoomOracle{room.options().side, room.goal()}; };
}

/// Calls `use(make_learner)` with what makes a fresh learner of the source.
template <typename Use>
auto with_learner(const Recipe& recipe, Use&& use) {
  switch (recipe.source) {
    case Source::q_learning:
      return use(q_learning_maker(recipe.episodes));
    case Source::systematic_explorer:
      return use(systematic_explorer_maker(recipe.max_noise));
    case Source::oracle:
      break;
  }
  return use(oracle_maker());
}

[[nodiscard]] inline std::vector<int> all_tasks(const icrl::DarkRooms& rooms) {
  std::vector<int> tasks(static_cast<std::size_t>(rooms.task_count()));
  std::iota(tasks.begin(), tasks.end(), 0);
  return tasks;
}

/// Unless a control asks for them, no images of held-out and of validation rooms are made: to what is trained these
/// rooms are new.
[[nodiscard]] inline icrl::CollectedHistories record(const Recipe& recipe, const icrl::DarkRooms& rooms,
                                                     std::span<const int> tasks, std::uint64_t seed, int threads) {
  ProgressBar bar{"recording"};
  const icrl::CollectConfig config{.histories_per_task = recipe.histories_per_task,
                                   .episodes = recipe.episodes,
                                   .seed = seed,
                                   .thread_count = threads,
                                   .algorithm = std::string{name_of(recipe.source)},
                                   .with_expert_action = recipe.windows.use_expert_action};
  return with_learner(recipe, [&](auto make_learner) -> icrl::CollectedHistories {
    if (recipe.images == Images::of_training_tasks)
      return icrl::collect_with_images(rooms, tasks, make_learner, config, bar.counter());
    icrl::CollectedHistories collected{icrl::collect(rooms, tasks, make_learner, config, bar.counter()), {}};
    if (recipe.images == Images::none) return collected;
    icrl::SymmetricImages images{rooms, all_tasks(rooms)};
    std::vector<icrl::LearningHistory> made;
    for (const icrl::LearningHistory& history : collected.histories)
      images.make(history.view(), [&](icrl::LearningHistory&& image) { made.push_back(std::move(image)); });
    std::ranges::move(made, std::back_inserter(collected.histories));
    collected.image_counts = images.counts();
    return collected;
  });
}

/// The source itself on the same tasks: what the distilled agent is compared with.
[[nodiscard]] inline icrl::LearningCurves live_source(const Recipe& recipe, const icrl::DarkRooms& rooms,
                                                      std::span<const int> tasks,
                                                      const icrl::EvaluationConfig& config) {
  return with_learner(recipe,
                      [&](auto make_learner) { return icrl::evaluate_learner(make_learner, rooms, tasks, config); });
}

/// Shows and writes down how training goes, and scores models on validation tasks by their mean return over all their
/// episodes.
class TrainingObserver {
public:
  TrainingObserver(const icrl::DarkRooms& rooms, std::span<const int> validation, const Recipe& recipe, int threads,
                   const std::filesystem::path& metrics)
      : rooms_{rooms},
        validation_{validation},
        recipe_{recipe},
        config_{.runs = recipe.validation_runs, .episodes = 50, .seed = 1, .thread_count = threads},
        bar_{"distilling"},
        metrics_{metrics} {}

  void on_update(const icrl::DistilMetrics& metrics) {
    metrics_.append(metrics);
    bar_.show(static_cast<std::size_t>(metrics.update), static_cast<std::size_t>(recipe_.distil.updates),
              fmt::format("loss {:.3f}, {:.0f} tokens/s{}", metrics.loss, metrics.tokens_per_second, note_));
  }

  template <icrl::Streaming M>
  double on_evaluate(const M& model, int) {
    const auto curves = icrl::evaluate(model, rooms_, validation_, config_, recipe_.decoding);
    const double score =
        icrl::share_of_oracle(curves, icrl::reference_returns(rooms_, validation_), 1, config_.episodes);
    note_ = fmt::format(", validation {:.3f}", score);
    return score;
  }

private:
  const icrl::DarkRooms& rooms_;
  std::span<const int> validation_;
  const Recipe& recipe_;
  icrl::EvaluationConfig config_;
  ProgressBar bar_;
  icrl::MetricsFile metrics_;
  std::string note_;
};

template <typename M>
struct Distilled {
  M model;
  icrl::DistilResult result;
};

/// Trains the model that `make_model(layout)` gives on the histories. Files begin with `name` in `folder`; an
/// interrupted training goes on from its checkpoint there, which is left behind (see forget_checkpoint).
template <typename MakeModel>
[[nodiscard]] auto distil_model(MakeModel&& make_model, const Recipe& recipe,
                                const std::vector<icrl::LearningHistory>& histories, const icrl::DarkRooms& rooms,
                                std::span<const int> validation, std::uint64_t seed, int threads,
                                const std::filesystem::path& folder, const std::string& name) {
  std::vector<icrl::HistoryView> views;
  for (const icrl::LearningHistory& history : histories) views.push_back(history.view());
  if (recipe.source == Source::q_learning) views = icrl::keep_solved(std::move(views));

  const icrl::DarkRoom room = rooms.make(0);
  const icrl::StepLayout layout{.observation_space = room.observation_space(), .action_space = room.action_space()};
  const icrl::WindowSampler sampler{std::move(views), layout, recipe.windows};
  auto model = make_model(layout);
  icrl::Rng rng{seed};
  model.initialize(rng);

  icrl::DistilConfig config = recipe.distil;
  config.thread_count = threads;
  config.seed = seed;
  config.checkpoint = folder / (name + ".checkpoint");
  config.checkpoint_every = 300;
  TrainingObserver observer{rooms, validation, recipe, threads, folder / (name + "_metrics.jsonl")};
  const icrl::DistilResult result = icrl::distil(model, sampler, config, observer);
  icrl::save_model(model, folder / (name + ".safetensors"),
                   {{"temperature", fmt::format("{}", recipe.decoding.temperature)},
                    {"min_p", fmt::format("{}", recipe.decoding.min_p)},
                    {"source", std::string{name_of(recipe.source)}}});
  return Distilled<decltype(model)>{std::move(model), result};
}

/// The same with a transformer.
[[nodiscard]] inline auto distil_recipe(const Recipe& recipe, const std::vector<icrl::LearningHistory>& histories,
                                        const icrl::DarkRooms& rooms, std::span<const int> validation,
                                        std::uint64_t seed, int threads, const std::filesystem::path& folder,
                                        const std::string& name) {
  const auto make_model = [&](const icrl::StepLayout& layout) {
    return Transformer{{.context = recipe.windows.context, .window_start = recipe.windows.start}, layout};
  };
  return distil_model(make_model, recipe, histories, rooms, validation, seed, threads, folder, name);
}

/// To be called when what a training was for is on the disk as well: until then, it need not be run again.
inline void forget_checkpoint(const std::filesystem::path& folder, const std::string& name) {
  std::error_code error;
  std::filesystem::remove(folder / (name + ".checkpoint"), error);
}

}  // namespace example
