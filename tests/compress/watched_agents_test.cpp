// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/watched_agents.hpp>

#include <vector>

#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/dark_room_models.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(GroupLearner<WatchedAgents<CausalTransformer<float>, CausalTransformer<double>>>);

TEST_CASE("Members act by one model while another watches with a memory of its own", "[compress]") {
  const auto actor = small_room_model(1), watcher = small_room_model(2, 16);
  const std::vector<Rng> watcher_rngs{Rng{5}, Rng{6}};
  WatchedAgents agents{actor, watcher, watcher_rngs};
  InContextAgents actors{actor, 2}, watchers{watcher, 2};
  std::vector<Rng> rngs{Rng{1}, Rng{2}}, same_rngs = rngs, expert_rngs = watcher_rngs;
  std::vector<float> observations(4), actions(2), expected(2), experts(2), expert(1);
  std::vector<int> members{0, 1};
  Rng world{9};
  for (int step = 0; step < 40; ++step) {
    members = step % 3 == 0 ? std::vector<int>{1} : std::vector<int>{0, 1};
    const std::size_t count = members.size();
    for (float& number : observations) number = static_cast<float>(world.below(5));
    const GroupObservations group{members, std::span{observations}.first(2 * count), {}};

    agents.act(group, std::span{actions}.first(count), rngs);
    actors.act(group, std::span{expected}.first(count), same_rngs);
    watchers.act(group, std::span{experts}.first(count), expert_rngs);

    REQUIRE(actions == expected);
    for (std::size_t i = 0; i < count; ++i) {
      agents.expert_action(members[i], expert);
      REQUIRE(expert[0] == experts[i]);
      CHECK(agents.outputs(static_cast<int>(i))[0] == actors.outputs(static_cast<int>(i))[0]);
      CHECK(agents.watcher_outputs(static_cast<int>(i))[0] == watchers.outputs(static_cast<int>(i))[0]);
      const std::span<const float> seen = std::span<const float>{observations}.subspan(2 * i, 2);
      const Transition transition{seen,         std::span<const float>{actions}.subspan(i, 1), 0.5f, seen, false,
                                  step % 8 == 7};
      agents.learn(members[i], transition);
      actors.learn(members[i], transition);
      watchers.learn(members[i], transition);
    }
  }
}

TEST_CASE("A watcher of another step layout is refused", "[compress]") {
  const auto actor = small_room_model(1);
  StepLayout other = small_room_layout();
  other.closing_token = true;
  const auto watcher = small_model(small_config(24), other);
  const std::vector<Rng> rngs{Rng{0}};
  CHECK_THROWS_WITH((WatchedAgents{actor, watcher, rngs}), ContainsSubstring("closing tokens true and false"));
}
