// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/agent_state.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/checksum.hpp>

#include "support/agent_life.hpp"
#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/leaky_accumulator.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Model = CausalTransformer<float>;
static_assert(std::is_copy_constructible_v<AgentState<Model>> && std::is_copy_assignable_v<AgentState<Model>>);

/// The checksum of all outputs and actions of an agent that lives the steps first .. last - 1 of a life.
template <typename M>
std::uint32_t lived(InContextAgent<M>& agent, const std::vector<FakeStep>& life, std::size_t first, std::size_t last) {
  Rng rng{1};
  std::vector<float> action(static_cast<std::size_t>(agent.model().layout.action_size()));
  std::uint32_t said = 0;
  for (std::size_t t = first; t < last; ++t) {
    agent.act(life[t].observation, action, rng);
    said = crc32c(std::as_bytes(agent.outputs()), said);
    said = crc32c(std::as_bytes(std::span<const float>{action}), said);
    agent.learn(transition_of(life[t]));
  }
  return said;
}

/// Windows that start anywhere or at episode starts, with and without closing rows.
std::vector<Model> some_models() {
  std::vector<Model> models;
  for (const bool closing_token : {false, true}) {
    TransformerConfig config = small_config(9);
    for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
      config.window_start = start;
      models.push_back(small_model(config, id_layout(closing_token)));
    }
  }
  return models;
}

}  // namespace

TEST_CASE("A snapshot that is taken back repeats the same hundred steps, bit for bit", "[agent]") {
  for (const Model& model : some_models())
    for (const std::size_t moment : {0u, 3u, 47u, 60u}) {
      const auto life = fake_life(model.layout, 160, 6, 2);
      InContextAgent agent{model};
      (void)lived(agent, life, 0, moment);

      const AgentState<Model> snapshot = agent.state();
      const std::uint32_t said = lived(agent, life, moment, moment + 100);
      const auto memory = memory_of(agent);
      agent.reset();
      (void)lived(agent, life, 0, 40);
      agent.set_state(snapshot);

      INFO("snapshot at step " << moment);
      CHECK(agent.remembered_steps() == snapshot.remembered_steps());
      CHECK(lived(agent, life, moment, moment + 100) == said);
      CHECK(memory_of(agent) == memory);
    }
}

TEST_CASE("A snapshot between act and learn tells that a learn comes next", "[agent]") {
  const Model model = small_model(small_config(9), id_layout(true));
  const auto life = fake_life(model.layout, 20, 6, 2);
  InContextAgent agent{model}, other{model};
  Rng rng{1};
  std::array<float, 1> action{};
  agent.act(life[0].observation, action, rng);

  other.set_state(agent.state());

  CHECK(other.awaits_learn());
  other.learn(transition_of(life[0]));
  agent.learn(transition_of(life[0]));
  CHECK(lived(other, life, 1, 20) == lived(agent, life, 1, 20));
}

TEST_CASE("One agent takes turns at two tasks by swapping its state, as two agents would live", "[agent]") {
  for (const Model& model : some_models()) {
    const auto one_life = fake_life(model.layout, 90, 6, 2), other_life = fake_life(model.layout, 90, 4, 3);
    InContextAgent agent{model}, first{model}, second{model};
    AgentState<Model> waiting = agent.state();  // of the second task

    for (std::size_t t = 0; t < 90; t += 15) {
      REQUIRE(lived(agent, one_life, t, t + 15) == lived(first, one_life, t, t + 15));
      agent.swap_state(waiting);
      REQUIRE(lived(agent, other_life, t, t + 15) == lived(second, other_life, t, t + 15));
      agent.swap_state(waiting);
    }

    CHECK(memory_of(agent) == memory_of(first));
    agent.swap_state(waiting);
    CHECK(memory_of(agent) == memory_of(second));
  }
}

TEST_CASE("A state moves between members and groups, and the others are not touched", "[agent]") {
  const Model model = small_model(small_config(9), id_layout(true));
  const auto life = fake_life(model.layout, 60, 6, 2);
  InContextAgents group{model, 3};
  InContextAgent agent{model};
  (void)lived(agent, life, 0, 30);
  for (std::size_t t = 0; t < 20; ++t) group.learn(0, transition_of(life[t]));

  group.set_state(1, agent.state());
  group.set_state(2, group.state(0));

  CHECK(group.remembered_steps(0) == group.remembered_steps(2));
  CHECK(group.remembered_steps(1) == agent.remembered_steps());
  InContextAgent back{model};
  back.set_state(group.state(1));
  CHECK(lived(back, life, 30, 60) == lived(agent, life, 30, 60));
}

TEST_CASE("States of other models or numbers of contexts are refused, and nothing changes", "[agent]") {
  const Model model = small_model(small_config(9), id_layout(true)), other = model;
  const auto life = fake_life(model.layout, 10, 6, 2);
  InContextAgent agent{model}, of_other{other}, of_three{model, {}, 3};
  (void)lived(agent, life, 0, 10);
  const auto before = memory_of(agent);
  AgentState<Model> state = of_other.state();

  CHECK(has(error_of([&] { agent.set_state(of_other.state()); }), "belongs to another model object"));
  CHECK(has(error_of([&] { agent.swap_state(state); }), "belongs to another model object"));
  CHECK(has(error_of([&] { agent.set_state(of_three.state()); }), "the state has 3 contexts, these agents have 2"));
  CHECK(memory_of(agent) == before);
}

TEST_CASE("Taking a state back, swapping it and renewing a snapshot allocate nothing", "[agent]") {
  if (!AllocationCount::is_available()) {
    WARN("allocations cannot be counted here");
    return;
  }
  for (const Model& model : some_models()) {
    const auto life = fake_life(model.layout, 60, 6, 2);
    InContextAgent agent{model};
    AgentState<Model> snapshot = agent.state(), other = snapshot;
    (void)lived(agent, life, 0, 60);

    const AllocationCount allocations;
    snapshot = agent.state();
    agent.swap_state(other);
    agent.set_state(snapshot);

    CHECK(allocations.count() == 0);
  }
}

TEST_CASE("A model without a limit streams for a hundred thousand steps in constant memory", "[agent][streaming]") {
  for (const bool closing_token : {false, true}) {
    const LeakyAccumulator model{id_layout(closing_token)};
    constexpr std::size_t steps = 100000;
    const auto life = fake_life(model.layout, steps, 9, 4);
    InContextAgent agent{model};
    StepStream rows{model.layout};
    std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
    std::vector<double> sum(row.size());
    int row_count = 0;
    const auto see_row = [&] {  // the recurrence once more, in double
      if (row_count++ == 0) model.layout.forget_previous(row);
      for (std::size_t f = 0; f < row.size(); ++f) sum[f] = 0.875 * sum[f] + static_cast<double>(row[f]);
    };
    const auto see = [&](const FakeStep& step) {
      rows.observe(step.observation, row);
      see_row();
    };
    const auto learn = [&](const FakeStep& step) {
      rows.record(step.action, step.reward, step.is_last);
      if (!step.is_last || !closing_token) return;
      rows.close(step.next_observation, row);
      see_row();
    };
    Rng rng{1};
    std::array<float, 1> action{};
    agent.act(life[0].observation, action, rng);
    agent.learn(transition_of(life[0]));
    see(life[0]);
    learn(life[0]);
    const std::size_t size = memory_of(agent).size();
    double worst = 0;

    const AllocationCount allocations;
    for (std::size_t t = 1; t < steps; ++t) {
      agent.act(life[t].observation, action, rng);
      see(life[t]);
      for (std::size_t p = 0; p < 3; ++p) {
        double expected = 0;
        for (std::size_t f = 0; f < row.size(); ++f)
          expected += sum[f] * static_cast<double>(model.head(static_cast<Index>(f), static_cast<Index>(p)));
        worst = std::max(worst, std::abs(static_cast<double>(agent.outputs()[p]) - expected));
      }
      if (agent.remembered_steps() != row_count) FAIL("step " << t << ": " << agent.remembered_steps());
      agent.learn(transition_of(life[t]));
      learn(life[t]);
    }
    const std::int64_t allocated = allocations.count();

    CHECK(worst < 1e-4);
    CHECK(allocated == 0);
    CHECK(memory_of(agent).size() == size);
  }
}

TEST_CASE("An endless stream goes on after a snapshot and after a file", "[agent][streaming]") {
  const LeakyAccumulator model{id_layout(true)};
  const auto life = fake_life(model.layout, 2000, 9, 4);
  const TemporaryFolder folder;
  InContextAgent agent{model}, from_state{model}, from_file{model, {}, 7};  // it has one context all the same
  (void)lived(agent, life, 0, 1000);

  from_state.set_state(agent.state());
  agent.save(folder / "memory");
  from_file.restore(folder / "memory");

  CHECK(agent.state().context_count() == 1);
  CHECK(from_file.remembered_steps() == agent.remembered_steps());
  const std::uint32_t said = lived(agent, life, 1000, 2000);
  CHECK(lived(from_state, life, 1000, 2000) == said);
  CHECK(lived(from_file, life, 1000, 2000) == said);
  from_state.reset();
  CHECK(from_state.remembered_steps() == 0);
  CHECK(lived(from_state, life, 1000, 2000) != said);
}
