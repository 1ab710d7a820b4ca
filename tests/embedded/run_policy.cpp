// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Lives a made-up life with the agent of a written header, -DPOLICY='"FILE"', and prints what
// tests/embedded/write_policies has written beside it. C++17, without exceptions and RTTI, for any target.
#include POLICY

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "embedded/life.hpp"

#ifndef STEPS
#define STEPS 300
#endif

namespace {

policy::Agent agent;

struct Functions {
  static double exp2(double x) { return policy::detail::exact_exp2(x); }
  static float exp2(float x) { return policy::detail::exact_exp2(x); }
  static float gelu(float x) { return policy::detail::exact_gelu(x); }
  static float root(float x) { return policy::detail::exact_root(x); }
  static float from_half(std::uint16_t half) { return policy::detail::from_half(half); }
  static double uniform(std::uint64_t seed) { return policy::Rng{seed, seed + 1}.uniform(); }
};

struct Life {
  static constexpr int context = policy::detail::context_steps, observation_size = policy::detail::observation_size,
                       action_size = policy::detail::action_size, output_count = policy::detail::output_count;
  policy::Rng rng{7};

  static float draw_observation(embedded::Source& source, int i) {
    const policy::detail::Bounds& bounds = policy::detail::observation_bounds[i];
    return embedded::draw(source, bounds.low, bounds.high, policy::detail::is_observation_whole);
  }
  static float draw_action(embedded::Source& source, int i) {
    const policy::detail::Bounds& bounds = policy::detail::action_bounds[i];
    return embedded::draw(source, bounds.low, bounds.high, policy::detail::has_action_ids);
  }
  template <typename Number, std::size_t count>
  static void copy(const float* from, Number (&to)[count]) {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<Number>(from[i]);
  }

  bool act(const float* observation, float* action) {
    policy::Observation seen;
    policy::Action chosen;
    copy(observation, seen);
    if (agent.act(seen, chosen, rng) != policy::Status::ok) return false;
    for (int i = 0; i < action_size; ++i) action[i] = static_cast<float>(chosen[i]);
    return true;
  }
  static bool watch(const float* observation) {
    policy::Observation seen;
    copy(observation, seen);
    return agent.observe(seen) == policy::Status::ok;
  }
  static bool learn(const float* action, float reward, bool ends_episode, const float* next_observation) {
    policy::Action chosen;
    policy::Observation next;
    copy(action, chosen);
    copy(next_observation, next);
    return agent.learn(chosen, reward, ends_episode, &next) == policy::Status::ok;
  }
  static void reset() { agent.reset(); }
  static const float* outputs() { return agent.outputs(); }
};

/// What is refused changes nothing. The calls that are not refused are undone by a reset.
bool refuses_nonsense() {
  using policy::Status;
  policy::Observation outside = {}, inside = {};
  policy::Action action = {}, no_action = {};
  const float zero = 0;
  outside[0] = static_cast<policy::ObservationNumber>(policy::detail::observation_bounds[0].high + 1);
  no_action[0] = static_cast<policy::ActionNumber>(policy::detail::action_bounds[0].high + 1);
  policy::Rng rng{1};
  const bool is_refused =
      agent.act(outside, action, rng) == Status::bad_observation && agent.learn(action, 0) == Status::out_of_turn &&
      agent.act(inside, action, rng) == Status::ok && agent.act(inside, action, rng) == Status::out_of_turn &&
      agent.learn(no_action, 0) == Status::bad_action && agent.learn(action, 1 / zero) == Status::bad_reward &&
      agent.learn(action, 0, true, &outside) ==
          (policy::detail::has_closing_token ? Status::bad_observation : Status::ok);
  agent.reset();
  return is_refused && agent.remembered_steps() == 0;
}

}  // namespace

int main() {
  if (!refuses_nonsense()) {
    std::printf("calls that make no sense are not refused\n");
    return 1;
  }
  Life life;
  const embedded::Checksums sums = embedded::live(life, STEPS);
  std::printf("%d steps: outputs %08lx, actions %08lx, arithmetic %08lx; %lu bytes of flash, %lu of RAM\n", STEPS,
              static_cast<unsigned long>(sums.outputs), static_cast<unsigned long>(sums.actions),
              static_cast<unsigned long>(embedded::arithmetic_checksum<Functions>()),
              static_cast<unsigned long>(policy::flash_bytes), static_cast<unsigned long>(sizeof agent));
  return sums.is_well ? 0 : 1;
}
