// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// What one machine has trained and recorded, another one reads: scripts/aarch64.sh runs this on two processors.
//   exchange write FOLDER     trains a small model, lets it act in rooms that are new to it, and writes the model, the
//                             transitions and the logits of each step, and the model in integers (integer_model.cpp)
//   exchange read FOLDER      loads all of it, goes through the transitions again and compares the logits
// Reading fails where a logit is not within 1e-4, where another action is the best though the two best differ by more
// than that, and where they differ by less at every step, so that no actions were compared.
#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/train/distil.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

using namespace icrl;

namespace {

constexpr double tolerance = 1e-4;

struct Paths {
  explicit Paths(const std::filesystem::path& folder)
      : model{folder / "model.safetensors"},
        integers{folder / "integers.safetensors"},
        histories{folder / "steps.icrl"},
        logits{folder / "logits.safetensors"} {}
  std::filesystem::path model, integers, histories, logits;
};

/// What the model says before each recorded step, one history after another; each begins with an empty memory.
std::vector<float> logits_of(const CausalTransformer<float>& model, const std::vector<HistoryView>& histories) {
  std::vector<float> logits;
  for (const HistoryView& history : histories) {
    InContextAgent agent{model};
    Rng rng{1};
    const std::size_t size = static_cast<std::size_t>(value_count(history.info().observation_space));
    std::vector<float> observation(size), next(size), drawn(1), taken(1);
    for (int e = 0; e < history.episode_count(); ++e) {
      const EpisodeView episode = history.episode(e);
      for (int t = 0; t < episode.length(); ++t) {
        episode.observation(t, observation);
        episode.observation(t + 1, next);
        episode.action(t, taken);
        agent.act(observation, drawn, rng);
        logits.insert(logits.end(), agent.outputs().begin(), agent.outputs().end());
        agent.learn({.observation = observation,
                     .action = taken,
                     .reward = episode.reward(t),
                     .next_observation = next,
                     .truncated = t + 1 == episode.length()});
      }
    }
  }
  return logits;
}

void write(const Paths& paths) {
  const DarkRooms rooms{{.side = 5, .horizon = 15}};
  const TaskSplit split = split_tasks(rooms.task_count(), {.train = 20, .held_out = 5, .seed = 1});
  const auto learner = [](int, const DarkRoom& room) {
    return QLearning{{}, room.observation_space(), room.action_space()};
  };
  const auto sources = collect(rooms, split.train, learner, {.episodes = 60});
  std::vector<HistoryView> views;
  for (const LearningHistory& history : sources) views.push_back(history.view());
  const StepLayout layout{views[0].info().observation_space, views[0].info().action_space};
  const WindowSampler windows{views, layout, {.context = 40, .subsample = 4}};
  CausalTransformer<float> model{{.width = 32, .layer_count = 2, .head_count = 2, .context = 40}, layout};
  Rng rng{1};
  model.initialize(rng);
  distil(model, windows, {.updates = 100, .batch = 16, .warmup = 20, .evaluate_every = 0});
  save_model(model, paths.model);
  save_model(to_int8(model), paths.integers);

  std::vector<LearningHistory> lives;
  HistoryWriter writer{paths.histories};
  for (const int task : split.held_out) {
    InContextAgent agent{model, {.temperature = 0.7}};
    lives.push_back(run(agent, rooms.make(task), 10, rng.fork(static_cast<std::uint64_t>(task))));
    writer.append(lives.back().view());
  }
  writer.sync();
  std::vector<HistoryView> recorded;
  for (const LearningHistory& life : lives) recorded.push_back(life.view());
  const std::vector<float> logits = logits_of(model, recorded);
  const auto columns = static_cast<std::size_t>(model.actions.parameter_count());
  write_safetensors(paths.logits, {{.name = "logits",
                                    .dtype = "F32",
                                    .shape = {logits.size() / columns, columns},
                                    .bytes = std::as_bytes(std::span{logits})}});
  std::printf("wrote a model and %zu steps\n", logits.size() / columns);
}

bool read(const Paths& paths) {
  const auto model = load_model<float>(paths.model);
  const HistoryFile file{paths.histories};
  const SafetensorsFile logits_file{paths.logits};
  const TensorView& there = logits_file.tensors()[0];
  std::vector<float> expected(there.bytes.size() / sizeof(float));
  std::memcpy(expected.data(), there.bytes.data(), there.bytes.size());

  const std::vector<float> found = logits_of(model, file.histories());

  const auto columns = static_cast<std::size_t>(model.actions.parameter_count());
  if (found.empty() || found.size() != expected.size()) {
    std::printf("%zu logits were recorded, here there are %zu\n", expected.size(), found.size());
    return false;
  }
  double largest = 0;
  std::size_t other_actions = 0, close = 0;
  for (std::size_t at = 0; at < found.size(); at += columns) {
    const std::span<const float> a{&expected[at], columns}, b{&found[at], columns};
    for (std::size_t i = 0; i < columns; ++i) {
      const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
      if (!(difference <= largest) && !std::isnan(largest)) largest = difference;  // NaN is the largest
    }
    std::vector<float> sorted(a.begin(), a.end());
    std::sort(sorted.rbegin(), sorted.rend());
    const auto best = [](std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); };
    if (static_cast<double>(sorted[0]) - static_cast<double>(sorted[1]) <= tolerance) {
      ++close;
    } else if (best(a) != best(b)) {
      ++other_actions;
    }
  }
  std::printf("%zu steps: logits differ by at most %.2g, other greedy actions in %zu (the two best are close in %zu)\n",
              found.size() / columns, largest, other_actions, close);
  return largest <= tolerance && other_actions == 0 && close < found.size() / columns;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::string_view what = argc == 3 ? argv[1] : "";
  if (what != "write" && what != "read") {
    std::fprintf(stderr, "exchange write FOLDER | exchange read FOLDER\n");
    return 2;
  }
  try {
    const Paths paths{argv[2]};
    if (what == "read") return read(paths) ? 0 : 1;
    write(paths);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exchange: %s\n", error.what());
    return 1;
  }
}
