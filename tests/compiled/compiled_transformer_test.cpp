// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compiled/compiled_transformer.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compiled/compiled_trainer.hpp>
#include <icrl/io/model_file.hpp>

#include "compiled/small_job.hpp"
#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

static_assert(Streaming<CompiledTransformer>);
static_assert(!Trainable<CompiledTransformer>);
static_assert(LoadableModel<CompiledTransformer>);

[[nodiscard]] CompiledTransformer small_model(std::string_view target = {}) {
  CompiledTransformer model{small_config(), small_layout(), target};
  Rng rng{2};
  model.initialize(rng);
  return model;
}

/// A sampler over histories that it owns.
struct Windows {
  std::vector<LearningHistory> histories = small_histories();
  WindowSampler sampler{views(), small_layout(), {.context = 40}};

  [[nodiscard]] std::vector<HistoryView> views() const {
    std::vector<HistoryView> all;
    for (const LearningHistory& history : histories) all.push_back(history.view());
    return all;
  }
};

/// The outputs of an agent in a room, act by act.
template <typename M>
[[nodiscard]] std::vector<float> life(InContextAgent<M>& agent, int steps) {
  DarkRoom room = DarkRooms{{.side = 5, .horizon = 10}}.make(3);
  Rng rng{4};
  std::vector<float> observation(2), next(2), action(1), outputs;
  room.reset(rng);
  for (int t = 0; t < steps; ++t) {
    room.observe(observation);
    agent.act(observation, action, rng);
    outputs.insert(outputs.end(), agent.outputs().begin(), agent.outputs().end());
    const StepResult result = room.step(static_cast<int>(action[0]), rng);
    room.observe(next);
    agent.learn({observation, action, result.reward, next, result.terminated, result.truncated});
    if (result.terminated || result.truncated) room.reset(rng);
  }
  return outputs;
}

}  // namespace

TEST_CASE("A compiled model has targets, the fastest last, and refuses any other by name", "[compiled]") {
  const std::vector<std::string_view> targets = compiled_targets();
  REQUIRE(!targets.empty());
  CHECK(small_model().target() == targets.back());
  for (const std::string_view target : targets) CHECK(small_model(target).target() == target);
  const std::string text = error_of([] { (void)small_model("x86-64-v9"); });
  CHECK(has(text, "there is no target x86-64-v9 here; the library was compiled for "));
  CHECK(has(text, std::string{targets.front()}));
}

TEST_CASE("A compiled model refuses what the transformer refuses", "[compiled]") {
  TransformerConfig config = small_config();
  config.head_count = 5;
  CHECK(has(error_of([&] { CompiledTransformer{config, small_layout()}; }), "head_count"));
  StepLayout layout = small_layout();
  layout.action_space = Discrete{0};
  CHECK(!error_of([&] { CompiledTransformer{small_config(), layout}; }).empty());
}

TEST_CASE("Copies of a compiled model and of its states are their own", "[compiled]") {
  const CompiledTransformer model = small_model();
  CompiledTransformer copy = model;
  CHECK(weights_checksum(copy) == weights_checksum(model));
  Rng rng{8};
  copy = CompiledTransformer{small_config(), small_layout()};
  copy.initialize(rng);
  CHECK(weights_checksum(copy) != weights_checksum(model));
  copy_weights(model, copy);
  CHECK(fingerprint(copy) == fingerprint(model));

  InContextAgent agent{model};
  (void)life(agent, 25);
  auto snapshot = agent.state();
  const std::vector<float> once = life(agent, 30);
  agent.set_state(snapshot);
  CHECK(life(agent, 30) == once);
}

TEST_CASE("The agent of a compiled model allocates nothing once it has begun", "[compiled]") {
  if (!AllocationCount::is_available()) {
    WARN("allocations cannot be counted here");
    return;
  }
  const CompiledTransformer model = small_model();
  std::vector<CompiledTransformer::State> states = model.make_states(2);
  CompiledTransformer::StreamWorkspace workspace;
  model.reserve(workspace, 2);
  Matrix<float> outputs(2, 5);
  const std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
  const std::vector<StreamInput<CompiledTransformer::State>> lanes{{&states[0], row.data(), true},
                                                                   {&states[1], row.data(), false}};
  const AllocationCount allocations;
  for (int t = 0; t < 40; ++t) model.step(lanes, workspace, outputs);
  states[1] = states[0];
  CHECK(allocations.count() == 0);
  CHECK(states[1].length() == 40);
}

TEST_CASE("A workspace may go from a model for one target to one for another", "[compiled]") {
  CompiledTransformer::StreamWorkspace workspace;
  Matrix<float> outputs(1, 5);
  for (int round = 0; round < 3; ++round) {
    for (const std::string_view target : compiled_targets()) {
      const CompiledTransformer model = small_model(target);
      std::vector<CompiledTransformer::State> states = model.make_states(1), others = small_model().make_states(1);
      const std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
      const std::vector<StreamInput<CompiledTransformer::State>> lanes{{&states[0], row.data(), true}};
      for (int t = 0; t < 5; ++t) model.step(lanes, workspace, outputs);
      others[0] = states[0];
      CHECK(others[0].length() == 5);
    }
  }
  const CompiledTransformer model = small_model();
  CompiledTransformer::StreamWorkspace moved = std::move(workspace);
  model.reserve(workspace, 1);
  model.reserve(moved, 1);
  const CompiledTransformer::StreamWorkspace copy = workspace;
  CompiledTransformer::StreamWorkspace another = copy;
  another = workspace;
}

TEST_CASE("Model files, agent memories and checkpoints are those of the headers' transformer", "[compiled]") {
  const TemporaryFolder folder;
  const CompiledTransformer model = small_model();
  CHECK(parameter_count(model) == CompiledTransformer::weight_count(model.config, model.layout));
  save_model(model, folder / "model.safetensors");
  const auto from_headers = load_model<CausalTransformer<float>>(folder / "model.safetensors");
  const auto compiled = load_model<CompiledTransformer>(folder / "model.safetensors");
  CHECK(fingerprint(from_headers) == fingerprint(model));
  CHECK(fingerprint(compiled) == fingerprint(model));

  InContextAgent agent{model};
  (void)life(agent, 55);
  agent.save(folder / "memory.icrl");
  InContextAgent other{from_headers};
  other.restore(folder / "memory.icrl");
  other.save(folder / "again.icrl");
  InContextAgent third{compiled};
  third.restore(folder / "again.icrl");
  CHECK(life(third, 20) == life(agent, 20));
}

TEST_CASE("An interrupted training of a compiled model ends with the same weights", "[compiled]") {
  const TemporaryFolder folder;
  const Windows windows;
  DistilConfig config = small_training(Products::full);
  config.updates = 4;
  CompiledTransformer straight = small_model();
  const DistilResult result = distil(straight, windows.sampler, config);
  CHECK(result.updates == 4);

  CompiledTransformer resumed = small_model();
  {
    CompiledTrainer trainer{resumed, windows.sampler, config};
    (void)trainer.step();
    (void)trainer.step();
    CHECK(weights_checksum(trainer.averaged()) != weights_checksum(resumed));
    trainer.save(folder / "checkpoint");
  }
  CompiledTransformer fresh = small_model();
  Rng rng{7};
  fresh.initialize(rng);
  CompiledTrainer trainer{fresh, windows.sampler, config};
  trainer.restore(folder / "checkpoint");
  CHECK(trainer.progress().update == 2);
  while (trainer.progress().update < 4) (void)trainer.step();
  CHECK(weights_checksum(trainer.best()) == weights_checksum(straight));
}

TEST_CASE("An observer of a compiled model's training scores it, and the best weights are kept", "[compiled]") {
  struct Observer {
    std::vector<std::uint32_t> seen;
    double on_evaluate(const CompiledTransformer& model, int update) {
      seen.push_back(weights_checksum(model));
      return update == 2 ? 1 : 0;
    }
  };
  const Windows windows;
  DistilConfig config = small_training(Products::automatic);
  config.evaluate_every = 1;
  CompiledTransformer model = small_model();
  Observer observer;
  const DistilResult result = distil(model, windows.sampler, config, observer);
  REQUIRE(observer.seen.size() == 3);
  CHECK(result.best_update == 2);
  CHECK(weights_checksum(model) == observer.seen[1]);
}

TEST_CASE("Errors of a compiled model are errors of this program", "[compiled]") {
  const Windows windows;
  CompiledTransformer model = small_model();
  DistilConfig config = small_training(Products::full);
  config.warmup = 99;
  CHECK(has(error_of([&] { CompiledTrainer{model, windows.sampler, config}; }), "warmup is 99"));
}
