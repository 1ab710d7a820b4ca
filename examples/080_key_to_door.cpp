// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// A task of two steps: find a hidden key, then a hidden door. The source searches cell by cell, under noise that is
// drawn once per life, and the labels are what it intended. With `--permuted 1` every task also hides which action
// makes which move: the source tries the actions first, and the distilled agent learns to do so, too.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <icrl/env/key_to_door.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/success.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect_images.hpp>
#include <icrl/learner/key_to_door_explorer.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/key_to_door_recipe.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;
using Recipe = example::KeyToDoorRecipe;

namespace {

/// A history of each training task, and those of its images whose task is a training task. Images of other tasks
/// are dropped: they may be held out.
CollectedHistories record(const KeyToDoorRooms& rooms, std::span<const int> tasks, const Recipe& recipe,
                          const example::Options& options) {
  example::ProgressBar bar{"recording"};
  const CollectConfig config = example::key_to_door_collection(recipe, options.seed, options.threads);
  return example::with_key_to_door_source(rooms.options().permuted_actions, recipe.max_noise, [&](auto make_learner) {
    return collect_with_images(rooms, tasks, make_learner, config, bar.counter());
  });
}

DistilResult train(CausalTransformer<float>& model, const std::vector<LearningHistory>& histories, const Recipe& recipe,
                   const example::Options& options) {
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  const WindowSampler sampler{views, model.layout, example::key_to_door_windows(recipe)};
  Rng rng{options.seed};
  model.initialize(rng);

  struct Observer {
    example::ProgressBar bar{"distilling"};
    std::size_t updates;
    void on_update(const DistilMetrics& metrics) {
      bar.show(static_cast<std::size_t>(metrics.update), updates,
               fmt::format("loss {:.3f}, {:.0f} tokens/s", metrics.loss, metrics.tokens_per_second));
    }
  } observer{.updates = static_cast<std::size_t>(recipe.updates)};
  return distil(model, sampler, example::key_to_door_training(recipe, options.quick, options.seed, options.threads),
                observer);
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Distils a search for a hidden key and a hidden door", "out/080_key_to_door"};
  int permuted = 0, task_count = 0, updates = 0;
  double temperature = -1;
  Recipe recipe = example::key_to_door_recipe(false, false);
  program.add("--permuted", permuted, "1: which action makes which move is hidden and differs by task", 0, 1);
  program.add("--tasks", task_count, "training tasks; 0: 1000, or 24000 with permuted actions", 0, 1000000);
  program.add("--updates", updates, "updates of training; 0: 1000, or 6000 with permuted actions", 0, 1000000);
  program.add("--temperature", temperature, "of decoding; -1: 0.5, or 2 with permuted actions", -1, 100);
  program.add("--start-share", recipe.history_start_fraction, "share of windows that begin where a history does", 0, 1);

  return program.run(argc, argv, [&](const example::Options& options) {
    const auto begin = std::chrono::steady_clock::now();
    const bool is_permuted = permuted == 1;
    const Recipe usual = example::key_to_door_recipe(is_permuted, options.quick);
    recipe.task_count = task_count == 0 ? usual.task_count : task_count;
    recipe.updates = updates == 0 ? usual.updates : updates;
    recipe.temperature = temperature < 0 ? usual.temperature : temperature;
    const KeyToDoorRooms rooms{{.permuted_actions = is_permuted}};
    // Validation tasks have no part in this program: they are for choosing settings.
    const TaskSplit split = split_tasks(
        rooms.task_count(),
        {.train = recipe.task_count, .validation = 64, .held_out = options.quick ? 8 : 64, .seed = options.seed});
    const ReferenceReturns references = reference_returns(rooms, split.held_out);
    const EvaluationConfig evaluation{.runs = options.quick ? 1 : 4,
                                      .episodes = options.quick ? 20 : 100,
                                      .seed = options.seed,
                                      .thread_count = options.threads};
    fmt::print(
        "Rooms of 9 x 9 cells, 50 steps an episode from a random cell: a hidden key pays 1, then a hidden door.{}\n"
        "{} tasks to train on, {} held out, of {}. Seed {}.\n",
        is_permuted ? " Actions are permuted." : "", split.train.size(), split.held_out.size(), rooms.task_count(),
        options.seed);

    const auto [histories, image_counts] = record(rooms, split.train, recipe, options);
    std::int64_t steps = 0;
    for (const LearningHistory& history : histories) steps += history.step_count();
    fmt::print("recorded   {} histories, {} of them images; {} images of tasks not trained on are dropped; {} steps\n",
               histories.size(), image_counts.kept, image_counts.dropped, steps);

    const KeyToDoor room = rooms.make(0);
    CausalTransformer<float> model{
        {.context = recipe.context},
        {.observation_space = room.observation_space(), .action_space = room.action_space()}};
    const DistilResult trained = train(model, histories, recipe, options);
    save_model(model, options.out / "key_to_door.safetensors",
               {{"temperature", fmt::format("{}", recipe.temperature)},
                {"permuted", is_permuted ? "1" : "0"},
                {"quick", options.quick ? "1" : "0"},
                {"updates", fmt::format("{}", recipe.updates)},
                {"seed", fmt::format("{}", options.seed)}});
    fmt::print("distilled  {} weights, {:.1f} M tokens in {:.0f} s, {:.0f} tokens/s\n", parameter_count(model),
               static_cast<double>(trained.tokens) / 1e6, trained.train_seconds, trained.tokens_per_second);

    const std::string weights_before = fmt::format("{:08x}", weights_checksum(model));
    example::ProgressBar bar{"acting in new rooms"};
    const LearningCurves agent =
        evaluate(model, rooms, split.held_out, evaluation, {.temperature = recipe.temperature}, bar.counter());
    bar.clear();
    const std::string weights_after = fmt::format("{:08x}", weights_checksum(model));
    const auto live_source = [&](double max_noise) {
      return example::with_key_to_door_source(is_permuted, max_noise, [&](auto make_learner) {
        return evaluate_learner(make_learner, rooms, split.held_out, evaluation);
      });
    };
    const LearningCurves source = live_source(recipe.max_noise), explorer = live_source(0);

    const int last = evaluation.episodes;
    const std::vector<double> returns = agent.mean_by_episode();
    const auto mean_over = [&](int first_episode, int last_episode) {
      return mean(agent.mean_by_task(first_episode, last_episode));
    };
    const std::vector<int> unlearned = unlearned_tasks(agent, references, last - 9, last, 0.75);
    const SuccessCounts successes = icrl::successes(agent, 1.5);
    fmt::print(
        "in context episode 1 earns {:.2f}, 2 {:.2f}, 5 {:.2f}, 10 {:.2f}, the last ten {:.3f}; random actions {:.2f}, "
        "the oracle {:.2f}\n"
        "           NAUC {:.3f}; the explorer {:.3f}, under noise {:.3f}; {} of {} tasks learned\n"
        "weights    {} before acting, {} after\n",
        returns[0], returns[1], returns[4], returns[9], mean_over(last - 9, last), mean(references.random),
        mean(references.oracle), example::key_to_door_nauc(agent), example::key_to_door_nauc(explorer),
        example::key_to_door_nauc(source), split.held_out.size() - unlearned.size(), split.held_out.size(),
        weights_before, weights_after);

    Plot plot{.title = fmt::format("A frozen transformer finds key and door: {} new tasks{}", split.held_out.size(),
                                   is_permuted ? ", permuted actions" : ""),
              .y_label = "return of an episode (mean, 95 % interval)"};
    plot.series = {plot_series("distilled from the explorer, frozen", agent),
                   {.name = "explorer itself", .y = explorer.mean_by_episode(), .stroke = PlotStroke::dashed},
                   {.name = "explorer under noise", .y = source.mean_by_episode(), .stroke = PlotStroke::dotted}};
    plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    example::write_text(options.out / "curves.svg", to_svg(plot));
    example::write_text(options.out / "curves.csv", to_csv(plot));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    example::write_summary(options.out, {{"seed", options.seed},
                                         {"quick", options.quick},
                                         {"permuted", is_permuted},
                                         {"nauc", example::key_to_door_nauc(agent)},
                                         {"explorer_nauc", example::key_to_door_nauc(explorer)},
                                         {"source_nauc", example::key_to_door_nauc(source)},
                                         {"return_by_episode", returns},
                                         {"explorer_return_by_episode", explorer.mean_by_episode()},
                                         {"source_return_by_episode", source.mean_by_episode()},
                                         {"last_ten", mean_over(last - 9, last)},
                                         {"oracle_return", mean(references.oracle)},
                                         {"random_return", mean(references.random)},
                                         {"unlearned_tasks", unlearned},
                                         {"ever_found", successes.ever_found()},
                                         {"kept_after_first_success", successes.kept_after_first_success().value_or(0)},
                                         {"training_tasks", split.train.size()},
                                         {"histories", histories.size()},
                                         {"kept_images", image_counts.kept},
                                         {"dropped_images", image_counts.dropped},
                                         {"recorded_steps", steps},
                                         {"weight_count", parameter_count(model)},
                                         {"updates", trained.updates},
                                         {"tokens", trained.tokens},
                                         {"train_seconds", trained.train_seconds},
                                         {"tokens_per_second", trained.tokens_per_second},
                                         {"weights_before", weights_before},
                                         {"weights_after", weights_after},
                                         {"temperature", recipe.temperature},
                                         {"held_out_tasks", split.held_out},
                                         {"runs_per_task", evaluation.runs},
                                         {"seconds", seconds.count()}});
    fmt::print("\n{}\nIn {:.0f} s. Picture, numbers and model: {}\n",
               to_terminal(plot, {.has_color = isatty(STDOUT_FILENO) == 1}), seconds.count(), options.out.string());
  });
}
