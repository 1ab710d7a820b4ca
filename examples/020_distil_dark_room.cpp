// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The main job from end to end: two learners, Q-learning and a systematic explorer, learn rooms with a hidden goal;
// their histories are recorded, and turned and mirrored where that makes them histories of another training room; a
// transformer is trained to predict what they do next; then it is frozen and put into rooms that it has never seen,
// where it gets better from episode to episode without one weight changing (Laskin et al., 2022). docs/results.md has
// what holds over 20 seeds (060_dark_room_evidence).
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <icrl/eval/csv.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/program.hpp"

using namespace icrl;

int main(int argc, char** argv) {
  example::Program program{"Distils two learners into a transformer that learns in context: rooms with a hidden goal",
                           "out/020_distil_dark_room"};

  return program.run(argc, argv, [&](const example::Options& options) {
    const auto begin = std::chrono::steady_clock::now();
    const DarkRooms rooms;
    const TaskSplit split =
        split_tasks(rooms.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = options.seed});
    const ReferenceReturns references = reference_returns(rooms, split.held_out);
    const EvaluationConfig evaluation{
        .runs = options.quick ? 1 : 16, .episodes = 100, .seed = options.seed, .thread_count = options.threads};
    fmt::print(
        "Rooms of 9 x 9 cells, 20 steps an episode, a goal that cannot be seen: it pays 1 for every step on it.\n"
        "{} goals to train on, {} to choose by, {} held out. Seed {}.\n",
        split.train.size(), split.validation.size(), split.held_out.size(), options.seed);

    Plot plot{.title = "Frozen transformers learning 16 new rooms in context",
              .y_label = "return of an episode (mean, 95 % interval)"};
    std::vector<std::string> sources;
    std::vector<JsonText> runs;
    for (example::Recipe recipe : {example::systematic_explorer_recipe(), example::q_learning_recipe()}) {
      if (options.quick) recipe = quick_recipe(recipe);
      const std::string source{name_of(recipe.source)};

      fmt::print("\nSource: {}\n", source);
      const auto [histories, image_counts] = record(recipe, rooms, split.train, options.seed, options.threads);
      std::int64_t steps = 0;
      for (const LearningHistory& history : histories) steps += history.step_count();
      fmt::print(
          "  recorded   {} histories, {} of them images; {} images of rooms not trained in are left out; {} steps\n",
          histories.size(), image_counts.kept, image_counts.dropped, steps);

      const auto [model, trained] =
          distil_recipe(recipe, histories, rooms, split.validation, options.seed, options.threads, options.out, source);
      fmt::print("  distilled  {} weights, {:.1f} M tokens in {:.0f} s, {:.0f} tokens/s\n", parameter_count(model),
                 static_cast<double>(trained.tokens) / 1e6, trained.train_seconds, trained.tokens_per_second);

      const std::string weights_before = fmt::format("{:08x}", weights_checksum(model));
      example::ProgressBar bar{"acting in new rooms"};
      const LearningCurves agent = evaluate(model, rooms, split.held_out, evaluation, recipe.decoding, bar.counter());
      bar.clear();
      const std::string weights_after = fmt::format("{:08x}", weights_checksum(model));
      const LearningCurves teacher = live_source(recipe, rooms, split.held_out, evaluation);

      const auto share = [&](int first, int last) { return share_of_oracle(agent, references, first, last); };
      const auto unlearned = unlearned_tasks(agent, references, 41, 50);
      fmt::print(
          "  in context episode 1 earns {:.0f} %, 10 {:.0f} %, 41-50 {:.0f} %, 91-100 {:.0f} % of the oracle; {} of {} "
          "goals learned\n",
          100 * share(1, 1), 100 * share(10, 10), 100 * share(41, 50), 100 * share(91, 100),
          split.held_out.size() - unlearned.size(), split.held_out.size());
      fmt::print("  weights    {} before acting, {} after\n", weights_before, weights_after);

      const int color = static_cast<int>(runs.size());
      plot.series.push_back(plot_series("distilled from " + source + ", frozen", agent));
      plot.series.back().color = color;
      plot.series.push_back({.name = source + " itself, as recorded",
                             .y = teacher.mean_by_episode(),
                             .stroke = PlotStroke::dashed,
                             .color = color});
      sources.push_back(source);
      runs.push_back(json_object({{"source", source},
                                  {"return_by_episode", agent.mean_by_episode()},
                                  {"source_return_by_episode", teacher.mean_by_episode()},
                                  {"oracle_return", mean(references.oracle)},
                                  {"random_return", mean(references.random)},
                                  {"share_of_oracle", json_object({{"1", share(1, 1)},
                                                                   {"10", share(10, 10)},
                                                                   {"9-10", share(9, 10)},
                                                                   {"41-50", share(41, 50)},
                                                                   {"91-100", share(91, 100)}})},
                                  {"unlearned_tasks", unlearned},
                                  {"histories", histories.size()},
                                  {"kept_images", image_counts.kept},
                                  {"dropped_images", image_counts.dropped},
                                  {"recorded_steps", steps},
                                  {"weight_count", parameter_count(model)},
                                  {"tokens", trained.tokens},
                                  {"updates", trained.updates},
                                  {"best_update", trained.best_update},
                                  {"validation_score", trained.best_score},
                                  {"train_seconds", trained.train_seconds},
                                  {"tokens_per_second", trained.tokens_per_second},
                                  {"weights_before", weights_before},
                                  {"weights_after", weights_after},
                                  {"held_out_tasks", split.held_out},
                                  {"runs_per_task", evaluation.runs},
                                  {"decoding", json_object({{"temperature", recipe.decoding.temperature},
                                                            {"min_p", recipe.decoding.min_p}})}}));
    }

    plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    example::write_text(options.out / "curves.svg", to_svg(plot));
    example::write_text(options.out / "curves.csv", to_csv(plot));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    example::write_summary(
        options.out, {{"seed", options.seed}, {"quick", options.quick}, {"seconds", seconds.count()}, {"runs", runs}});
    for (const std::string& source : sources) example::forget_checkpoint(options.out, source);
    fmt::print("\n{}\nIn {:.0f} s. Pictures, numbers and models: {}\n",
               to_terminal(plot, {.has_color = isatty(STDOUT_FILENO) == 1}), seconds.count(), options.out.string());
  });
}
