// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/in_context_agent.hpp>

#include <array>
#include <type_traits>
#include <vector>

#include <icrl/learner/run.hpp>

#include "support/agent_life.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Model = CausalTransformer<float>;
static_assert(Learner<InContextAgent<Model>>);
static_assert(MaskedPolicy<InContextAgent<Model>>);
static_assert(!std::is_constructible_v<InContextAgent<Model>, Model&&>, "a model that dies at once has no agents");

/// A model that always wants to do what was done last: the previous action's one-hot row reaches the head unmixed.
Model copying_model(const StepLayout& layout) {
  Model model{{.width = 4, .layer_count = 1, .head_count = 1, .context = 6}, layout};
  for (Index action = 0; action < 3; ++action)
    model.embedding.action_tables[0](action, action) = model.head.weight(action, action) = 1;
  return model;
}

/// The largest difference from recomputation over a life of ten contexts.
template <typename M>
double worst_difference(const M& model, int longest_episode) {
  InContextAgent agent{model};
  Onlooker onlooker{model};
  Rng rng{1};
  std::vector<float> action(static_cast<std::size_t>(model.layout.action_size()));
  double worst = 0;
  for (const FakeStep& step : fake_life(model.layout, 10 * model.config.context, longest_episode, 8)) {
    agent.act(step.observation, action, rng);
    onlooker.observe(step.observation);
    worst = worse_of(worst, onlooker.difference_to(agent.outputs(), agent.remembered_steps()));
    agent.learn(transition_of(step));
    onlooker.learn(step);
  }
  return worst;
}

template <typename E>
Model model_for(const E& env, int context) {
  return small_model(small_config(context),
                     {.observation_space = env.observation_space(), .action_space = env.action_space()});
}

}  // namespace

TEST_CASE("An agent hears what it did last, and what it has heard counts until it forgets", "[agent]") {
  const auto model = copying_model(id_layout());
  InContextAgent agent{model, Decoding{.temperature = 0}};
  Rng rng{1};
  std::array<float, 1> action{9};
  const std::array observation{1.0f, 2.0f};

  CHECK(agent.remembered_steps() == 0);
  agent.act(observation, action, rng);
  CHECK(action[0] == 0);
  agent.learn({.observation = observation, .action = std::array{2.0f}, .next_observation = observation});
  agent.act(observation, action, rng);
  CHECK(action[0] == 2);
  CHECK(agent.remembered_steps() == 2);

  agent.reset();
  CHECK(agent.remembered_steps() == 0);
  agent.act(observation, action, rng);
  CHECK(action[0] == 0);
  CHECK(&agent.model() == &model);
}

TEST_CASE("An agent's outputs equal recomputation over its window for ten contexts", "[agent][streaming]") {
  for (const bool closing_token : {false, true}) {
    CHECK(worst_difference(small_model<float>(small_config(20), id_layout(closing_token)), 9) <=
          streaming_tolerance<float>);
    CHECK(worst_difference(small_model<double>(small_config(20), box_layout(closing_token)), 9) <=
          streaming_tolerance<double>);
  }
}

TEST_CASE("An agent is a learner like any other: it runs in environments and heeds their masks", "[agent]") {
  const auto model = model_for(TurnTaking{}, 14);
  for (const double temperature : {0.0, 1.0}) {
    InContextAgent agent{model, Decoding{temperature}};

    const LearningHistory history = run(agent, TurnTaking{}, 20, Rng{4});

    for (int e = 0; e < 20; ++e) REQUIRE(history.episode(e).total_reward() == 6);
    CHECK(agent.remembered_steps() > 6);
  }
}

TEST_CASE("An agent in an environment that its model was not made for is refused", "[agent]") {
  const auto model = small_model(small_config(6), id_layout());
  InContextAgent agent{model};
  CHECK(has(error_of([&] { (void)run(agent, Corridor{}, 1, Rng{1}); }),
            "has observations multi_discrete(4, 5) and actions discrete(3), "
            "the environment has discrete(4) and discrete(2)"));
}

TEST_CASE("Numbers are acted with inside their box", "[agent]") {
  const auto model = model_for(Slider{}, 12);
  InContextAgent agent{model};

  const LearningHistory history = run(agent, Slider{}, 10, Rng{5});

  CHECK(history.step_count() == 50);
}

TEST_CASE("A saved agent goes on in another one", "[agent]") {
  const auto model = small_model(small_config(7), id_layout(true));
  const TemporaryFolder folder;
  InContextAgent agent{model}, heir{model};
  Rng rng{6};
  std::array<float, 1> action{};
  int steps = 0;
  for (const FakeStep& step : fake_life(model.layout, 30, 6, 2)) {
    agent.act(step.observation, action, rng);
    if (steps >= 15) {
      heir.act(step.observation, action, rng);
      REQUIRE(copied(heir.outputs()) == copied(agent.outputs()));
    }
    CHECK(agent.awaits_learn());
    if (++steps == 15) {
      agent.save(folder / "memory");
      CHECK_FALSE(heir.awaits_learn());
      heir.restore(folder / "memory");
      CHECK(heir.awaits_learn());
    }
    agent.learn(transition_of(step));
    CHECK_FALSE(agent.awaits_learn());
    if (steps >= 15) heir.learn(transition_of(step));
  }

  CHECK(memory_of(heir).size() == memory_of(agent).size());
  CHECK(has(error_of([&] { heir.restore(folder / "nothing"); }), "nothing"));
}
