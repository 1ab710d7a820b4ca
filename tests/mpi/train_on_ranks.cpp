// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Collects and trains on the ranks of an MPI job; scripts/mpi.sh compares what comes out at 1, 2 and 4 ranks.
//   mpirun -n RANKS train_on_ranks FOLDER [UPDATE]     with UPDATE, the last rank dies after so many updates
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/mpi/mpi_ranks.hpp>
#include <icrl/train/distil.hpp>

using namespace icrl;

namespace {

/// Ends the process, as a machine that loses its power does.
struct DiesAfter {
  int update;
  void on_update(const DistilMetrics& metrics) const {
    if (metrics.update == update) std::_Exit(3);
  }
};

/// Every rank collects its tasks into a file of its own; all read all files, in the order of the tasks.
std::vector<HistoryFile> collect_on(MpiRanks& ranks, const DarkRooms& rooms, const std::filesystem::path& folder) {
  const std::vector<int> tasks{3, 14, 15, 92 % rooms.task_count(), 65, 35, 8, 9};
  const auto make_learner = [](int, const DarkRoom& room) {
    return QLearning{{.episodes = 20}, room.observation_space(), room.action_space()};
  };
  const auto file_of = [&](int task) { return folder / ("histories_" + std::to_string(task)); };
  for (const int task : tasks_of_rank(ranks, tasks)) {
    if (std::filesystem::exists(file_of(task))) continue;
    HistoryWriter writer{file_of(task)};
    for (const LearningHistory& history :
         collect(rooms, std::vector<int>{task}, make_learner, {.episodes = 20, .seed = 1, .thread_count = 1}))
      writer.append(history.view());
    writer.sync();
  }
  char done = 1;
  std::vector<char> all(static_cast<std::size_t>(ranks.size()));
  gather_from_ranks(ranks, std::span<const char>{&done, 1}, std::span{all});
  std::vector<HistoryFile> files;
  for (const int task : tasks) files.emplace_back(file_of(task));
  return files;
}

void run(const std::filesystem::path& folder, int dies_after) {
  MpiRanks ranks;
  std::filesystem::create_directories(folder);
  const DarkRooms rooms;
  const std::vector<HistoryFile> files = collect_on(ranks, rooms, folder);
  std::vector<HistoryView> views;
  for (const HistoryFile& file : files)
    for (int i = 0; i < file.history_count(); ++i) views.push_back(file.history(i));
  const DarkRoom room = rooms.make(0);
  const StepLayout layout{room.observation_space(), room.action_space()};
  const WindowSampler sampler{views, layout, {.context = 40}};
  CausalTransformer<float> model{{.width = 16, .layer_count = 2, .head_count = 2, .context = 40}, layout};
  Rng rng{1};
  model.initialize(rng);
  const DistilConfig config{.updates = 20,
                            .batch = 16,
                            .warmup = 5,
                            .evaluate_every = 0,
                            .checkpoint_every = 5,
                            .checkpoint = folder / "checkpoint",
                            .thread_count = 1};
  const bool dies = dies_after > 0 && ranks.rank() == ranks.size() - 1;
  (void)distil(model, sampler, config, DiesAfter{dies ? dies_after : -1}, ranks);
  if (ranks.rank() == 0) save_model(model, folder / "weights.safetensors");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("usage: mpirun -n RANKS train_on_ranks FOLDER [UPDATE]\n", stderr);
    return EXIT_FAILURE;
  }
  try {
    const MpiSession session{count, arguments};
    try {
      run(arguments[1], count > 2 ? std::atoi(arguments[2]) : 0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "error: %s\n", error.what());
      MpiSession::abort();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
