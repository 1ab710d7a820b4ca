// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/space_text.hpp>

namespace icrl {

/// How long an environment is played.
struct CheckConfig {
  int episodes = 5;        ///< of each check
  int max_steps = 1000;    ///< a longer episode is reported as one that does not end
  std::uint64_t seed = 0;  ///< of the environment and the actions
};

/// The problems of an environment, one sentence per kind of problem.
struct EnvironmentReport {
  std::vector<std::string> problems;  ///< empty if no promise was broken

  /// Whether there are no problems.
  [[nodiscard]] bool ok() const { return problems.empty(); }
  /// One line per problem, or "no problems found".
  [[nodiscard]] std::string text() const {
    if (ok()) return "no problems found";
    std::string lines;
    for (const std::string& problem : problems) lines += "- " + problem + "\n";
    return lines;
  }
};

namespace detail {

/// Plays random episodes and records the promises that are broken.
template <Environment E>
class EnvironmentCheck {
public:
  EnvironmentCheck(const E& env, const CheckConfig& config)
      : pristine_{env},
        config_{config},
        observation_space_{env.observation_space()},
        action_space_{env.action_space()} {}

  EnvironmentReport run() {
    try {
      if (spaces_are_sound()) {
        play_episodes();
        play_twice();
        play_beside_a_copy();
      }
    } catch (const std::exception& error) {
      note("exception", "it throws an exception in " + place() + ": " + error.what());
    }
    return std::move(report_);
  }

private:
  /// An environment during an episode, with one generator for itself and one for the actions.
  struct Player {
    E env;
    Rng env_rng, action_rng;
    std::vector<float> trace{};  // all observations and rewards so far
    bool ended = false;
  };

  Player player(int episode) const {
    const Rng rng = Rng{config_.seed}.fork(static_cast<std::uint64_t>(episode));
    return {pristine_, rng.fork(0), rng.fork(1)};
  }

  bool spaces_are_sound() {
    try {
      validate(observation_space_, "the observation space");
      validate_actions(action_space_, "the action space");
    } catch (const Error& error) {
      note("spaces", error.what());
      return false;
    }
    const bool is_discrete = std::holds_alternative<Discrete>(action_space_);
    if (!StepsByValues<E> && !is_discrete) {
      note("step", "step takes one id, but its action space is " + to_short_string(action_space_) +
                       " (write step(std::span<const float>, Rng&))");
    }
    if (HasActionMask<E> && !is_discrete)
      note("mask",
           "it has an action mask, but its action space is " + to_short_string(action_space_) + ", not discrete");
    return report_.ok();
  }

  /// Plays all episodes with one environment, as a program does.
  void play_episodes() {
    Player p = player(0);
    for (episode_ = 0; episode_ < config_.episodes; ++episode_) {
      begin(p);
      for (step_ = 1; step_ <= config_.max_steps && !p.ended; ++step_) step(p);
      if (!p.ended) {
        note("end", fmt::format("episode {} has not ended after {} steps (wrap it in TimeLimit?)", episode_,
                                config_.max_steps));
      }
      if (!(Space{p.env.observation_space()} == observation_space_ && Space{p.env.action_space()} == action_space_))
        note("changing spaces", fmt::format("its spaces have changed after episode {}", episode_));
    }
  }

  /// Plays two copies, one after the other, with the same random numbers.
  void play_twice() {
    episode_ = 0;
    const auto play = [this](Player p) {
      for (int episode = 0; episode < 2; ++episode) {
        begin(p);
        for (step_ = 1; step_ <= config_.max_steps && !p.ended; ++step_) step(p);
      }
      return p.trace;
    };
    if (!same(play(player(1)), play(player(1)))) {
      note("determinism",
           "two copies behave differently under the same random numbers and actions (is there "
           "randomness that does not come from the Rng, or state that copies share?)");
    }
  }

  /// Copies the environment during an episode and plays the copy to the end. Then the original must continue exactly as
  /// the copy did.
  void play_beside_a_copy() {
    for (episode_ = 0; episode_ < config_.episodes; ++episode_) {
      Player p = player(2 + episode_);
      begin(p);
      for (step_ = 1; step_ <= 1 + episode_ && !p.ended; ++step_) step(p);
      Player copy = p;
      const auto play_on = [this, first = step_](Player& one) {
        for (step_ = first; step_ <= config_.max_steps && !one.ended; ++step_) step(one);
      };
      play_on(copy);
      play_on(p);
      if (!same(copy.trace, p.trace)) {
        note("copy",
             "a copy is not independent: stepping it changes the original (does it share state through a "
             "pointer or a global?)");
      }
    }
  }

  void begin(Player& p) {
    step_ = 0;
    p.ended = false;
    p.env.reset(p.env_rng);
    look(p);
  }

  void step(Player& p) {
    const auto action = choose_action(p);
    const StepResult result = icrl::step(p.env, std::span<const float>{action}, p.env_rng);
    if (!std::isfinite(result.reward)) note("reward", fmt::format("the reward in {} is {}", place(), result.reward));
    p.ended = result.terminated || result.truncated;
    p.trace.push_back(result.reward);
    p.trace.push_back(static_cast<float>(result.terminated) + 2 * static_cast<float>(result.truncated));
    look(p);
  }

  void look(Player& p) {
    const std::vector<float> seen = observed(p.env);
    if (!contains(observation_space_, seen)) {
      note("observation",
           fmt::format("the observation in {} is {}", place(), describe_outside(seen, observation_space_)));
    }
    if (!same(observed(p.env), seen))
      note("restless", fmt::format("two observations in {} differ, without a step between them", place()));
    p.trace.insert(p.trace.end(), seen.begin(), seen.end());
  }

  /// Leaves space after the observation to detect a write past its end.
  std::vector<float> observed(const E& env) {
    constexpr float untouched = std::numeric_limits<float>::quiet_NaN();
    constexpr std::size_t margin = 64;
    const auto size = static_cast<std::size_t>(value_count(observation_space_));
    std::vector<float> values(size + margin, untouched);
    env.observe(std::span<float>{values}.first(size));
    if (std::any_of(values.begin() + static_cast<std::ptrdiff_t>(size), values.end(),
                    [](float value) { return !std::isnan(value); }))
      note("overrun", fmt::format("observe writes more than the {} numbers of an observation", size));
    values.resize(size);
    return values;
  }

  std::vector<float> choose_action(Player& p) {
    std::vector<float> action(static_cast<std::size_t>(value_count(action_space_)));
    sample(action_space_, p.action_rng, action);
    if constexpr (HasActionMask<E>) {
      const int count = std::get<Discrete>(action_space_).count;
      std::vector<std::uint8_t> allowed(static_cast<std::size_t>(count), 0);
      p.env.action_mask(allowed);
      if (std::all_of(allowed.begin(), allowed.end(), [](std::uint8_t a) { return a == 0; })) {
        note("mask", fmt::format("the action mask in {} allows no action", place()));
        return action;
      }
      while (allowed[static_cast<std::size_t>(action[0])] == 0) sample(action_space_, p.action_rng, action);
    }
    return action;
  }

  /// Equality in which NaN equals NaN.
  static bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
  }

  [[nodiscard]] std::string place() const { return fmt::format("episode {}, step {}", episode_, step_); }

  /// Keeps the first problem of each kind.
  void note(const std::string& kind, std::string problem) {
    if (kinds_.insert(kind).second) report_.problems.push_back(std::move(problem));
  }

  E pristine_;
  CheckConfig config_;
  Space observation_space_, action_space_;
  EnvironmentReport report_;
  std::set<std::string> kinds_;
  int episode_ = 0, step_ = 0;
};

}  // namespace detail

/// Plays an environment with random actions and reports the promises that it breaks: invalid observations and rewards,
/// episodes that do not end, randomness that does not come from the Rng, copies that share state, masks that allow no
/// action. For tests of your own environments:
///
///   const auto report = check_environment(MyEnvironment{});
///   if (!report.ok()) std::puts(report.text().c_str());
template <Environment E>
[[nodiscard]] EnvironmentReport check_environment(const E& env, const CheckConfig& config = {}) {
  if (config.episodes < 1 || config.max_steps < 1) {
    fail("check_environment: episodes is {} and max_steps is {}, both must be at least 1", config.episodes,
         config.max_steps);
  }
  return detail::EnvironmentCheck<E>{env, config}.run();
}

}  // namespace icrl
