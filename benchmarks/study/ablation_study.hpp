// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/agent/prompt.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/history/history_quality.hpp>
#include <icrl/history/select_episodes.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/labeled_by.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/model/post_norm_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>
#include <icrl/model/value_head.hpp>
#include <icrl/train/action_and_value.hpp>
#include <icrl/train/distil.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/progress.hpp"

// Algorithm Distillation of Q-learning in the Dark Room, with one thing changed.
namespace icrl::bench {

enum class AblationModel { transformer, post_norm, recurrent, with_value };
[[nodiscard]] inline std::string_view to_string(AblationModel kind) {
  constexpr std::string_view names[] = {"transformer", "post-norm transformer", "gated recurrence",
                                        "transformer with a value head"};
  return names[static_cast<std::size_t>(kind)];
}

/// Which recorded histories are trained on.
enum class AblationHistories { solved, all, best_half };
[[nodiscard]] inline std::string_view to_string(AblationHistories histories) {
  constexpr std::string_view names[] = {"solved", "all", "best half"};
  return names[static_cast<std::size_t>(histories)];
}

/// One experiment: what the recipe of Q-learning becomes.
struct Variant {
  std::string group, name;
  std::string change;  ///< what is different from the recipe, for a reader
  example::Recipe recipe;
  int training_tasks = 57;
  TransformerConfig shape{};  ///< its context is that of the windows
  AblationModel kind = AblationModel::transformer;
  AblationHistories histories = AblationHistories::solved;
  bool is_sorted = false;           ///< episodes in the order of their returns
  bool has_optimal_labels = false;  ///< the labels are the actions of a policy that knows the goal (DPT)
  bool trains_last_step = false;    ///< of a window, only the last label counts
  bool is_prompted = false;         ///< agents begin with four episodes of a source's history in their memory
  std::string model_of{};           ///< the variant whose model acts; empty: one of its own
};

/// Tells the settings of one variant from those of another.
[[nodiscard]] inline std::string describe(const Variant& variant) {
  return fmt::format("{}; {} tasks; {}; {}, {} histories{}{}{}{}{}", example::describe(variant.recipe),
                     variant.training_tasks, icrl::describe(variant.shape), to_string(variant.kind),
                     to_string(variant.histories), variant.is_sorted ? ", sorted" : "",
                     variant.has_optimal_labels ? ", optimal labels" : "",
                     variant.trains_last_step ? ", last labels" : "", variant.is_prompted ? ", prompted" : "",
                     variant.model_of.empty() ? "" : ", model of " + variant.model_of);
}

struct AblationOptions {
  std::uint64_t seed = 41;
  int seeds = 3;
  int threads = 0;
  bool quick = false;
  std::filesystem::path out = "out/ablations";
};

/// The loss of the last labeled row of each window alone, times the number of its labels, so that gradients are as
/// large as those of all rows.
struct LastStepCrossEntropy {
  struct Scratch {};

  template <SequenceModel M>
  double loss(const M& model, const ContextBatch& batch, int window, MatrixIn<typename M::Scalar> outputs,
              MatrixOut<typename M::Scalar> doutputs, Scratch&) const {
    using S = typename M::Scalar;
    doutputs.setZero();
    const auto labels = batch.actions_of(window), weights = batch.weights_of(window);
    std::size_t last = 0, count = 0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(outputs.rows()); ++t) {
      if (weights[t] == 0) continue;
      last = t;
      ++count;
    }
    if (count == 0) return 0;
    const auto action_size = static_cast<std::size_t>(batch.action_size),
               width = static_cast<std::size_t>(model.actions.parameter_count());
    return static_cast<double>(model.actions.template loss_and_gradient<S>(
        {row_data(outputs, static_cast<Index>(last)), width}, labels.subspan(last * action_size, action_size), S(0),
        static_cast<S>(count), std::span<S>{row_data(doutputs, static_cast<Index>(last)), width}));
  }
  [[nodiscard]] static std::string describe() { return "cross-entropy of the last step"; }
};

namespace detail {

[[nodiscard]] inline std::filesystem::path file_of(const AblationOptions& options, const std::string& variant,
                                                   std::uint64_t seed, std::string_view ending) {
  return options.out / fmt::format("{}-s{}{}", variant, seed, ending);
}

[[nodiscard]] inline std::vector<LearningHistory> recorded(const Variant& variant, const DarkRooms& rooms,
                                                           std::span<const int> tasks, std::uint64_t seed,
                                                           int threads) {
  if (!variant.has_optimal_labels) return example::record(variant.recipe, rooms, tasks, seed, threads).histories;
  const auto make_source = example::q_learning_maker(variant.recipe.episodes);
  const auto make_learner = [&](int task, const DarkRoom& room, Rng&) {
    return LabeledBy{make_source(task, room), DarkRoomOracle{room.options().side, room.goal()}, room.action_space()};
  };
  return collect_with_images(rooms, tasks, make_learner,
                             {.histories_per_task = variant.recipe.histories_per_task,
                              .episodes = variant.recipe.episodes,
                              .seed = seed,
                              .thread_count = threads,
                              .algorithm = "q_learning",
                              .with_expert_action = true})
      .histories;
}

/// The histories that are trained on. Those that are sorted are made anew, in `made`, which has to outlive the views.
[[nodiscard]] inline std::vector<HistoryView> chosen(const Variant& variant,
                                                     const std::vector<LearningHistory>& histories,
                                                     std::vector<LearningHistory>& made) {
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  if (variant.histories == AblationHistories::best_half) views = keep_best(views, 0.5);
  if (variant.histories == AblationHistories::solved) views = keep_solved(std::move(views));
  if (!variant.is_sorted) return views;
  for (const HistoryView& view : views) made.push_back(sorted_by_return(view));
  for (std::size_t i = 0; i < made.size(); ++i) views[i] = made[i].view();
  return views;
}

/// An agent whose memory holds four episodes of a fresh Q-learner on its task, from the first half of its learning and
/// as far apart as those of the windows.
template <Streaming M>
[[nodiscard]] InContextAgent<M> prompted_agent(const M& model, const example::Recipe& recipe, int task,
                                               const DarkRoom& room, Rng& rng) {
  auto source = example::q_learning_maker(recipe.episodes)(task, room);
  constexpr int first = 4, count = 4;
  const int apart = recipe.windows.subsample;
  const LearningHistory history = run(source, room, first + (count - 1) * apart + 1, rng.fork(7));
  InContextAgent<M> agent{model, recipe.decoding};
  for (int i = 0; i < count; ++i) prompt(agent, history.view(), first + i * apart, 1);
  return agent;
}

/// The mean return of each episode on each task.
[[nodiscard]] inline Json by_task(const LearningCurves& curves) {
  Json tasks = Json::array();
  for (int task = 0; task < curves.task_count(); ++task) {
    std::vector<double> means(static_cast<std::size_t>(curves.episode_count()));
    for (int r = 0; r < curves.run_count(); ++r)
      for (std::size_t e = 0; e < means.size(); ++e) means[e] += curves.returns(task, r)[e] / curves.run_count();
    tasks.push_back(means);
  }
  return tasks;
}

}  // namespace detail

/// Trains and measures a variant on one seed, and writes OUT/NAME-sSEED.json. If that file is there, nothing is done.
class Ablation {
public:
  Ablation(Variant variant, std::uint64_t seed, const AblationOptions& options)
      : variant_{std::move(variant)}, seed_{seed}, options_{options} {
    if (options_.quick) {
      variant_.recipe = example::quick_recipe(variant_.recipe);
      variant_.recipe.episodes = std::max(20, 2 * variant_.recipe.windows.subsample);
      variant_.training_tasks = std::min(variant_.training_tasks, 4);
      if (variant_.histories == AblationHistories::solved) variant_.histories = AblationHistories::all;
    }
    variant_.shape.context = variant_.recipe.windows.context;
    settings_ = fmt::format("{}; {} runs", describe(variant_), run_count());
  }

  void run() {
    if (has_result()) {
      (void)result();
      return;
    }
    const TaskSplit all =
        split_tasks(rooms_.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = seed_});
    held_out_ = all.held_out;
    if (!variant_.model_of.empty()) {
      const auto model_path = detail::file_of(options_, variant_.model_of, seed_, ".safetensors");
      return measure(load_model<CausalTransformer<float>>(model_path), {});
    }
    const std::vector<int> tasks(all.train.begin(), all.train.begin() + variant_.training_tasks);
    const std::vector<LearningHistory> histories = detail::recorded(variant_, rooms_, tasks, seed_, options_.threads);
    std::vector<LearningHistory> made;
    const DarkRoom room = rooms_.make(0);
    const StepLayout layout{.observation_space = room.observation_space(), .action_space = room.action_space()};
    const WindowSampler sampler{detail::chosen(variant_, histories, made), layout, variant_.recipe.windows};
    switch (variant_.kind) {
      case AblationModel::transformer:
        if (variant_.trains_last_step)
          return train(CausalTransformer<float>{variant_.shape, layout}, sampler, LastStepCrossEntropy{});
        return train(CausalTransformer<float>{variant_.shape, layout}, sampler,
                     ActionCrossEntropy{variant_.recipe.distil.label_smoothing});
      case AblationModel::post_norm:
        return train(PostNormTransformer<float>{variant_.shape, layout}, sampler, ActionCrossEntropy{});
      case AblationModel::recurrent:
        return train(RecurrentModel<float>{{.longest_memory = variant_.shape.context}, layout}, sampler,
                     ActionCrossEntropy{});
      case AblationModel::with_value:
        return train(CausalTransformer<float, ValueParts<float>>{variant_.shape, layout}, sampler,
                     ActionAndValue{.value_weight = 0.05});
    }
  }

  /// Runs of each held-out goal.
  [[nodiscard]] int run_count() const { return options_.quick ? 1 : 16; }
  [[nodiscard]] bool has_result() const { return std::filesystem::exists(file(".json")); }
  /// Throws Error for one that was made with other settings.
  [[nodiscard]] Json result() const {
    const auto path = file(".json");
    Json result = parse_json(text_of(path), path.string());
    if (const auto found = result.value("settings", std::string{}); found != settings_)
      fail("{}: was made with other settings ({}), now they are ({}); remove it, or choose another --out",
           path.string(), found, settings_);
    return result;
  }

private:
  [[nodiscard]] std::filesystem::path file(std::string_view ending) const {
    return detail::file_of(options_, variant_.name, seed_, ending);
  }
  [[nodiscard]] int episodes() const { return options_.quick ? 10 : 100; }

  template <Trainable M, Objective<M> O>
  void train(M model, const WindowSampler& sampler, const O& objective) {
    Rng rng{seed_};
    model.initialize(rng);
    DistilConfig config = variant_.recipe.distil;
    config.thread_count = options_.threads;
    config.seed = seed_;
    config.checkpoint = file(".checkpoint");
    config.checkpoint_every = 300;
    TrainingProgress progress{.bar = example::ProgressBar{fmt::format("{}, seed {}: distilling", variant_.name, seed_)},
                              .updates = static_cast<std::size_t>(config.updates)};
    const DistilResult trained = distil(model, sampler, config, progress, objective);
    save_model(model, file(".safetensors"));
    measure(model, trained);
    std::filesystem::remove(file(".checkpoint"));
  }

  template <Streaming M>
  void measure(const M& model, const DistilResult& trained) const {
    const EvaluationConfig acting{
        .runs = run_count(), .episodes = episodes(), .seed = seed_, .thread_count = options_.threads};
    const auto make_prompted = [&](int task, const DarkRoom& room, Rng& rng) {
      return detail::prompted_agent(model, variant_.recipe, task, room, rng);
    };
    const LearningCurves agent = variant_.is_prompted
                                     ? evaluate_learner(make_prompted, rooms_, held_out_, acting)
                                     : evaluate(model, rooms_, held_out_, acting, variant_.recipe.decoding);
    const LearningCurves source =
        evaluate_learner(example::q_learning_maker(variant_.recipe.episodes), rooms_, held_out_, acting);
    const Json result{{"variant", variant_.name},
                      {"seed", seed_},
                      {"quick", options_.quick},
                      {"settings", settings_},
                      {"weights", parameter_count(model)},
                      {"tokens", trained.tokens},
                      {"train_seconds", trained.train_seconds},
                      {"tasks", held_out_},
                      {"oracle_by_task", reference_returns(rooms_, held_out_).oracle},
                      {"returns", detail::by_task(agent)},
                      {"source_returns", detail::by_task(source)},
                      {"cpu", processor_name()}};
    write_text(file(".json"), to_text(result, file(".json").string(), 1) + "\n");
  }

  Variant variant_;
  std::uint64_t seed_;
  const AblationOptions& options_;
  DarkRooms rooms_{};
  std::vector<int> held_out_;
  std::string settings_;
};

}  // namespace icrl::bench
