// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Writes what a change of structure must leave alone, byte for byte, into the folder named on the command line: a
// history file, weights trained with float and with bfloat16 products, and the outputs of 1000 greedy steps of each
// model, by the demo's recipe with fewer updates. scripts/same_bits.sh compares the files of two commits.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checked_file.hpp>
#include <icrl/history/history_file.hpp>

#include "support/dark_room_recipes.hpp"

namespace {

/// The model's outputs over 1000 steps in a room that it was not trained on.
void write_outputs(const example::Transformer& model, const icrl::DarkRooms& rooms, int task,
                   const std::filesystem::path& path) {
  constexpr int steps = 1000;
  icrl::DarkRoom room = rooms.make(task);
  icrl::InContextAgent agent{model, {.temperature = 0}};
  icrl::Rng rng{5};
  icrl::ByteWriter out;
  std::vector<float> observation(2), next(2), action(1);
  room.reset(rng);
  for (int t = 0; t < steps; ++t) {
    room.observe(observation);
    agent.act(observation, action, rng);
    out.values(agent.outputs());
    const icrl::StepResult result = room.step(static_cast<int>(action[0]), rng);
    room.observe(next);
    agent.learn({observation, action, result.reward, next, result.terminated, result.truncated});
    if (result.terminated || result.truncated) room.reset(rng);
  }
  constexpr icrl::CheckedFileKind kind{.magic = "icrlbits", .name = "outputs", .version = 1};
  icrl::write_checked_file(path, kind, out.bytes());
}

void run(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const icrl::DarkRooms rooms;
  const icrl::TaskSplit split = icrl::split_tasks(rooms.task_count(), {.train = 57, .validation = 8, .held_out = 16});
  example::Recipe recipe = example::systematic_explorer_recipe();
  recipe.histories_per_task = 4;
  recipe.distil.updates = 60;
  recipe.distil.warmup = 20;
  recipe.distil.evaluate_every = 0;
  const icrl::CollectedHistories collected = example::record(recipe, rooms, split.train, 1, 2);
  std::filesystem::remove(folder / "histories.icrl");
  icrl::HistoryWriter writer{folder / "histories.icrl"};
  for (const icrl::LearningHistory& history : collected.histories) writer.append(history.view());
  writer.sync();
  for (const icrl::Products products : {icrl::Products::full, icrl::Products::bfloat16}) {
    const std::string name = to_string(products);
    recipe.distil.products = products;
    example::forget_checkpoint(folder, name);
    const auto distilled =
        example::distil_recipe(recipe, collected.histories, rooms, split.validation, 1, 2, folder, name);
    example::forget_checkpoint(folder, name);
    std::filesystem::remove(folder / (name + "_metrics.jsonl"));
    write_outputs(distilled.model, rooms, split.held_out.front(), folder / (name + ".outputs"));
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: same_bits FOLDER\n", stderr);
    return EXIT_FAILURE;
  }
  try {
    run(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
