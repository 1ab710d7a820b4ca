// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Trains the models of the page in the browser: one for a room with a hidden goal, one for a hidden key and a hidden
// door, each saved in floats and in int8. The recipes are those of 020_distil_dark_room and 080_key_to_door; the second
// model is narrower, so that the page stays small. The models in examples/browser/models are this program's:
//   browser_train --seed 21 --out examples/browser/models
#include <cstdio>
#include <string>
#include <vector>

#include <icrl/compress/to_int8.hpp>

#include "browser/tasks.hpp"
#include "support/dark_room_recipes.hpp"
#include "support/key_to_door_recipe.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

/// What a visitor sees: the return of episode 10, and tasks that are lost by then.
template <Streaming M, typename Family>
JsonText judge(const M& model, const Family& rooms, std::span<const int> tasks, const std::string& name,
               const Decoding& decoding, const example::Options& options) {
  const EvaluationConfig config{
      .runs = options.quick ? 1 : 4, .episodes = 20, .seed = options.seed, .thread_count = options.threads};
  const LearningCurves curves = evaluate(model, rooms, tasks, config, decoding);
  const ReferenceReturns references = reference_returns(rooms, tasks);
  const double share = share_of_oracle(curves, references, 10, 10);
  const std::vector<int> lost = unlearned_tasks(curves, references, 11, 20, 0.75);
  fmt::print("  {}: episode 1 earns {:.3f} of the oracle, 5 {:.3f}, 10 {:.3f}; {} of {} tasks lost in 11-20\n", name,
             share_of_oracle(curves, references, 1, 1), share_of_oracle(curves, references, 5, 5), share, lost.size(),
             tasks.size());
  return json_object({{"model", name},
                      {"tasks", tasks.size()},
                      {"return_by_episode", curves.mean_by_episode()},
                      {"oracle_return", mean(references.oracle)},
                      {"share_of_oracle_in_episode_10", share},
                      {"lost", lost.size()}});
}

/// The model in floats and in int8: saved, and judged on tasks that it has not seen.
template <typename Family>
void save_and_judge(const CausalTransformer<float>& model, const Family& rooms, std::span<const int> tasks,
                    const std::string& name, const Decoding& decoding, const Metadata& metadata,
                    const example::Options& options, std::vector<JsonText>& results) {
  save_model(model, options.out / (name + "_float32.safetensors"), metadata);
  const Int8Transformer integers = to_int8(model);
  save_model(integers, options.out / (name + "_int8.safetensors"), metadata);
  results.push_back(judge(model, rooms, tasks, name + "_float32", decoding, options));
  results.push_back(judge(integers, rooms, tasks, name + "_int8", decoding, options));
}

void train_room(const example::Options& options, std::span<const int> judged, std::vector<JsonText>& results) {
  const DarkRooms rooms;
  const TaskSplit split = browser::room_split(options.seed);
  example::Recipe recipe = example::systematic_explorer_recipe();
  if (options.quick) recipe = quick_recipe(recipe);
  const auto histories = record(recipe, rooms, split.train, options.seed, options.threads).histories;
  const auto [model, trained] =
      distil_recipe(recipe, histories, rooms, split.validation, options.seed, options.threads, options.out, "room");
  fmt::print("room: {} weights, {:.0f} s\n", parameter_count(model), trained.train_seconds);
  save_and_judge(
      model, rooms, judged, "room", recipe.decoding,
      {{"temperature", fmt::format("{}", recipe.decoding.temperature)}, {"seed", fmt::format("{}", options.seed)}},
      options, results);
  example::forget_checkpoint(options.out, "room");
  for (const char* const left : {"room.safetensors", "room_metrics.jsonl"}) std::filesystem::remove(options.out / left);
}

void train_key_to_door(int width, int updates, const example::Options& options, std::vector<JsonText>& results) {
  const KeyToDoorRooms rooms;
  example::KeyToDoorRecipe recipe = example::key_to_door_recipe(/*permuted*/ false, options.quick);
  if (!options.quick) recipe.updates = updates;
  const TaskSplit split = browser::key_to_door_split(options.seed, recipe.task_count);
  const CollectConfig collection = example::key_to_door_collection(recipe, options.seed, options.threads);
  const auto histories = example::with_key_to_door_source(false, recipe.max_noise, [&](auto make_learner) {
    return collect_with_images(rooms, split.train, make_learner, collection).histories;
  });
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  const KeyToDoor room = rooms.make(0);
  CausalTransformer<float> model{{.width = width, .context = recipe.context},
                                 {.observation_space = room.observation_space(), .action_space = room.action_space()}};
  Rng rng{options.seed};
  model.initialize(rng);
  const WindowSampler sampler{views, model.layout, example::key_to_door_windows(recipe)};
  const DistilResult trained =
      distil(model, sampler, example::key_to_door_training(recipe, options.quick, options.seed, options.threads));
  fmt::print("key and door: {} weights, {:.0f} s, {:.0f} tokens/s\n", parameter_count(model), trained.train_seconds,
             trained.tokens_per_second);
  save_and_judge(model, rooms, split.validation, "key_to_door", {.temperature = recipe.temperature},
                 {{"temperature", fmt::format("{}", recipe.temperature)},
                  {"train", fmt::format("{}", recipe.task_count)},
                  {"seed", fmt::format("{}", options.seed)}},
                 options, results);
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Trains the models of the page in the browser", "out/browser_train"};
  int width = 32, updates = 1500;
  program.add("--width", width, "numbers per token of the model for key and door", 4, 256);
  program.add("--updates", updates, "updates of its training", 4, 100000);

  return program.run(argc, argv, [&](const example::Options& options) {
    std::vector<JsonText> results;
    train_room(options, browser::room_split(options.seed).validation, results);
    train_key_to_door(width, updates, options, results);
    example::write_summary(options.out, {{"seed", options.seed}, {"quick", options.quick}, {"models", results}});
  });
}
