// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Two models for one job: a transformer, which looks back on a window, and a gated linear recurrence, whose state is of
// fixed size and whose stream has no end. Both are distilled from the same histories of the systematic explorer,
// frozen, and put into rooms that they have never seen; and both act for a long time, to show what a step costs late
// and early.
#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

/// Median seconds of a step among the first and among the last tenth of `steps` steps in one room.
template <Streaming M>
std::pair<double, double> step_seconds(const M& model, DarkRoom room, const Decoding& decoding, int steps) {
  using Clock = std::chrono::steady_clock;
  InContextAgent agent{model, decoding};
  Rng rng{1};
  std::vector<float> observation(2), next(2), action(1);
  std::vector<double> first, last;
  room.reset(rng);
  for (int t = 0; t < steps; ++t) {
    room.observe(observation);
    const auto begin = Clock::now();
    agent.act(observation, action, rng);
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    if (t < steps / 10) first.push_back(seconds.count());
    if (t >= steps - steps / 10) last.push_back(seconds.count());
    const StepResult result = room.step(static_cast<int>(action[0]), rng);
    room.observe(next);
    agent.learn({observation, action, result.reward, next, result.terminated, result.truncated});
    if (result.terminated || result.truncated) room.reset(rng);
  }
  const auto median = [](std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  };
  return {median(first), median(last)};
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Distils one source into a transformer and into a recurrent model",
                           "out/100_recurrent_model"};

  return program.run(argc, argv, [&](const example::Options& options) {
    const DarkRooms rooms;
    const TaskSplit split =
        split_tasks(rooms.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = options.seed});
    const ReferenceReturns references = reference_returns(rooms, split.held_out);
    const EvaluationConfig evaluation{
        .runs = options.quick ? 1 : 16, .episodes = 100, .seed = options.seed, .thread_count = options.threads};
    example::Recipe recipe = example::systematic_explorer_recipe();
    if (options.quick) recipe = quick_recipe(recipe);
    recipe.distil.products = Products::full;               // what both models can do
    recipe.distil.evaluate_every = recipe.distil.updates;  // the last weights: nothing is chosen
    const auto histories = record(recipe, rooms, split.train, options.seed, options.threads).histories;
    Plot plot{.title = "Two frozen models learning 16 new rooms in context",
              .y_label = "return of an episode (mean, 95 % interval)"};
    std::vector<JsonText> models;

    const auto compare = [&](std::string_view name, const std::string& files, auto make_model) {
      fmt::print("\n{}\n", name);
      const auto [model, trained] = distil_model(make_model, recipe, histories, rooms, split.validation, options.seed,
                                                 options.threads, options.out, files);
      const std::string weights_before = fmt::format("{:08x}", weights_checksum(model));
      const LearningCurves agent = evaluate(model, rooms, split.held_out, evaluation, recipe.decoding);
      const std::string weights_after = fmt::format("{:08x}", weights_checksum(model));
      const auto [first, last] =
          step_seconds(model, rooms.make(split.held_out.front()), recipe.decoding, options.quick ? 1000 : 1000000);
      const auto share = [&](int from, int to) { return share_of_oracle(agent, references, from, to); };
      fmt::print(
          "  {} weights, {:.1f} M tokens in {:.0f} s\n"
          "  episode 10 earns {:.1f} %, 41-50 {:.1f} %, 91-100 {:.1f} % of the oracle; {} goals lost\n"
          "  a step takes {:.2f} us at first, {:.2f} us at last\n",
          parameter_count(model), static_cast<double>(trained.tokens) / 1e6, trained.train_seconds, 100 * share(10, 10),
          100 * share(41, 50), 100 * share(91, 100), unlearned_tasks(agent, references, 41, 50).size(), 1e6 * first,
          1e6 * last);
      plot.series.push_back(plot_series(std::string{name} + ", frozen", agent));
      plot.series.back().color = static_cast<int>(models.size());
      models.push_back(
          json_object({{"model", name},
                       {"weight_count", parameter_count(model)},
                       {"tokens", trained.tokens},
                       {"train_seconds", trained.train_seconds},
                       {"return_by_episode", agent.mean_by_episode()},
                       {"share_of_oracle",
                        json_object({{"9-10", share(9, 10)}, {"41-50", share(41, 50)}, {"91-100", share(91, 100)}})},
                       {"unlearned_tasks", unlearned_tasks(agent, references, 41, 50)},
                       {"first_step_seconds", first},
                       {"last_step_seconds", last},
                       {"weights_before", weights_before},
                       {"weights_after", weights_after}}));
    };
    compare("transformer", "transformer", [&](const StepLayout& layout) {
      return CausalTransformer<float>{{.context = recipe.windows.context, .window_start = recipe.windows.start},
                                      layout};
    });
    compare("gated recurrence", "gated_recurrence", [&](const StepLayout& layout) {
      return RecurrentModel<float>{{}, layout};
    });

    plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    example::write_text(options.out / "curves.svg", to_svg(plot));
    example::write_text(options.out / "curves.csv", to_csv(plot));
    example::write_summary(options.out, {{"seed", options.seed}, {"quick", options.quick}, {"models", models}});
    for (const char* files : {"transformer", "gated_recurrence"}) example::forget_checkpoint(options.out, files);
    fmt::print("\n{}\nPictures, numbers and models: {}\n", to_terminal(plot, {.has_color = isatty(STDOUT_FILENO) == 1}),
               options.out.string());
  });
}
