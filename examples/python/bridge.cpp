// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// A C interface for tasks that live in another language: Python owns the loop and steps the task; this library acts,
// learns, records, distills. bridge.py calls it by ctypes.
//
// Spaces are JSON, as in a model file: {"discrete": 5}, {"multi_discrete": [2, 3]}, {"box": {"low": [-1], "high":
// [1]}}. Observations and actions are arrays of value_count(space) floats. A function that fails returns null or -1,
// and bridge_error() tells why. Calls for one object come from one thread at a time.
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/space_check.hpp>
#include <icrl/io/config_json.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/model/self_test.hpp>
#include <icrl/train/distil.hpp>

using namespace icrl;

namespace {

using Model = CausalTransformer<float>;

thread_local std::string last_error;

/// Runs `body` and returns what it returns; after an exception, `failed` instead.
template <typename Result, typename Body>
Result guarded(Result failed, const Body& body) noexcept {
  try {
    return body();
  } catch (const std::exception& error) {
    try {
      last_error = error.what();
    } catch (...) {  // no memory for the text
    }
    return failed;
  }
}

Space space_of(const char* text, const std::string& what) { return space_from_json(parse_json(text, what), what); }

/// What acts and learns: a source or an agent.
struct Actor {
  Actor(const Space& observations, const Space& actions)
      : observation_space{observations},
        action_space{actions},
        observation_check{observations},
        action_check{actions} {}
  virtual ~Actor() = default;
  virtual void act(std::span<const float> observation, std::span<float> action) = 0;
  virtual void learn(const Transition& transition) = 0;
  virtual void reset() = 0;

  /// The values of another language, which may be anything. Throws Error.
  [[nodiscard]] std::span<const float> checked_observation(const float* values) const {
    return checked(values, observation_space, observation_check, "observation");
  }
  [[nodiscard]] std::span<const float> checked_action(const float* values) const {
    return checked(values, action_space, action_check, "action");
  }

  Space observation_space, action_space;
  SpaceCheck observation_check, action_check;

private:
  static std::span<const float> checked(const float* values, const Space& space, const SpaceCheck& check,
                                        const char* what) {
    const std::span<const float> all{values, check.size()};
    if (!check.contains(all)) fail("{} {}", what, describe_outside(all, space));
    return all;
  }
};

struct Source final : Actor {
  Source(const Space& observations, const Space& actions, int episodes, std::uint64_t seed)
      : Actor{observations, actions},
        untrained{{.episodes = episodes}, observations, actions},
        learner{untrained},
        rng{seed} {}
  void act(std::span<const float> observation, std::span<float> action) override {
    learner.act(observation, action, rng);
  }
  void learn(const Transition& transition) override { learner.learn(transition); }
  void reset() override { learner = untrained; }

  QLearning untrained, learner;
  Rng rng;
};

struct Agent final : Actor {
  Agent(const char* path, const Space& observations, const Space& actions, double temperature, std::uint64_t seed)
      : Actor{observations, actions},
        model{load_model<Model>(path)},
        agent{model, {.temperature = temperature}},
        rng{seed} {
    agent.check_spaces(observations, actions);
  }
  void act(std::span<const float> observation, std::span<float> action) override {
    if (agent.awaits_learn()) fail("the agent has acted: call learn() with the result before it acts again");
    agent.act(observation, action, rng);
  }
  void learn(const Transition& transition) override { agent.learn(transition); }
  void reset() override { agent.reset(); }

  Model model;
  InContextAgent<Model> agent;
  Rng rng;
};

struct Recorder {
  explicit Recorder(HistoryInfo info) : history{std::move(info)}, recorder{history} {}
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  LearningHistory history;
  HistoryRecorder recorder;
  bool is_written = false;
};

}  // namespace

extern "C" {

/// What the last call of this thread that failed had to say.
const char* bridge_error() { return last_error.c_str(); }

/// Compares this build of the library with plain arithmetic; call it once.
int bridge_self_test() {
  return guarded(-1, [] {
    self_test();
    return 0;
  });
}

// ---- what acts ----

/// Q-learning for ids and discrete actions, whose randomness falls over so many episodes.
Actor* bridge_source(const char* observation_space, const char* action_space, int episodes, std::uint64_t seed) {
  return guarded<Actor*>(nullptr, [&]() -> Actor* {
    return new Source{space_of(observation_space, "observation space"), space_of(action_space, "action space"),
                      episodes, seed};
  });
}

/// A frozen model that learns in context. Fails if it was trained for other spaces.
Actor* bridge_agent(const char* model_path, const char* observation_space, const char* action_space, double temperature,
                    std::uint64_t seed) {
  return guarded<Actor*>(nullptr, [&]() -> Actor* {
    return new Agent{model_path, space_of(observation_space, "observation space"),
                     space_of(action_space, "action space"), temperature, seed};
  });
}

int bridge_act(Actor* actor, const float* observation, float* action) {
  return guarded(-1, [&] {
    actor->act(actor->checked_observation(observation), {action, actor->action_check.size()});
    return 0;
  });
}

int bridge_learn(Actor* actor, const float* observation, const float* action, float reward,
                 const float* next_observation, int terminated, int truncated) {
  return guarded(-1, [&] {
    actor->learn({.observation = actor->checked_observation(observation),
                  .action = actor->checked_action(action),
                  .reward = reward,
                  .next_observation = actor->checked_observation(next_observation),
                  .terminated = terminated != 0,
                  .truncated = truncated != 0});
    return 0;
  });
}

/// Forgets everything, for a new task.
int bridge_reset(Actor* actor) {
  return guarded(-1, [&] {
    actor->reset();
    return 0;
  });
}

void bridge_free_actor(Actor* actor) { delete actor; }

// ---- histories ----

/// Of one source on one task, from its first episode to its last.
Recorder* bridge_recorder(const char* observation_space, const char* action_space, std::int64_t task,
                          const char* algorithm) {
  return guarded<Recorder*>(nullptr, [&] {
    return new Recorder{{.observation_space = space_of(observation_space, "observation space"),
                         .action_space = space_of(action_space, "action space"),
                         .task = task,
                         .algorithm = algorithm}};
  });
}

int bridge_record_first(Recorder* recorder, const float* observation) {
  return guarded(-1, [&] {
    const auto size = static_cast<std::size_t>(value_count(recorder->history.info().observation_space));
    recorder->recorder.begin_episode({observation, size});
    return 0;
  });
}

int bridge_record(Recorder* recorder, const float* action, float reward, const float* next_observation, int terminated,
                  int truncated) {
  return guarded(-1, [&] {
    const HistoryInfo& info = recorder->history.info();
    const auto size = [](const Space& space) { return static_cast<std::size_t>(value_count(space)); };
    recorder->recorder.step({action, size(info.action_space)}, reward, {next_observation, size(info.observation_space)},
                            terminated != 0, truncated != 0);
    return 0;
  });
}

/// Appends the finished episodes to a file of histories; once, because each call would append all of them.
int bridge_write(Recorder* recorder, const char* path) {
  return guarded(-1, [&] {
    if (recorder->is_written) fail("the history has been written: write it once, when it is complete");
    HistoryWriter writer{path};
    writer.append(recorder->history.view());
    writer.sync();
    recorder->is_written = true;
    return 0;
  });
}

void bridge_free_recorder(Recorder* recorder) { delete recorder; }

// ---- distillation ----

/// Trains a transformer on all histories of a file and saves it. `context` rows, of which episodes are thinned to every
/// `subsample`-th. Writes the loss of the last update.
int bridge_distil(const char* history_path, const char* model_path, int context, int subsample, int width,
                  int layer_count, int updates, int thread_count, std::uint64_t seed, double* loss) {
  return guarded(-1, [&] {
    const HistoryFile file{history_path};
    const std::vector<HistoryView> histories = file.histories();
    if (histories.empty()) fail("\"{}\" holds no histories", history_path);
    const HistoryInfo& info = histories.front().info();
    const StepLayout layout{.observation_space = info.observation_space, .action_space = info.action_space};
    const WindowSampler windows{histories, layout, {.context = context, .subsample = subsample}};
    Model model{{.width = width, .layer_count = layer_count, .head_count = 4, .context = context}, layout};
    Rng rng{seed};
    model.initialize(rng);
    const DistilResult result = distil(model, windows,
                                       {.updates = updates,
                                        .batch = 32,
                                        .warmup = updates / 10,
                                        .ema_decay = 0.99,
                                        .thread_count = thread_count,
                                        .seed = seed});
    save_model(model, model_path);
    *loss = result.final_loss;
    return 0;
  });
}

}  // extern "C"
