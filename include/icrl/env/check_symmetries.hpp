// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/symmetry.hpp>

namespace icrl {

/// How long, and how exactly, tasks and their images are compared.
struct SymmetryCheckConfig {
  int tasks = 100;         ///< maximum number of tasks to play, drawn at random if the family has more
  int episodes = 4;        ///< per task and symmetry
  int max_steps = 1000;    ///< per episode; longer episodes are cut off
  int max_resets = 1000;   ///< attempts to reach the image of a start state, if start states are random
  float tolerance = 0;     ///< allowed difference of rewards and of numbers of a Box
  std::uint64_t seed = 0;  ///< of the choice of tasks, the environments and the actions
};

inline void validate(const SymmetryCheckConfig& config) {
  const auto positive = [](const char* name, int value) {
    if (value < 1) fail("check_symmetries: {} is {}, it must be at least 1", name, value);
  };
  positive("tasks", config.tasks);
  positive("episodes", config.episodes);
  positive("max_steps", config.max_steps);
  positive("max_resets", config.max_resets);
  if (!(config.tolerance >= 0 && std::isfinite(config.tolerance)))
    fail("check_symmetries: tolerance is {}, it must be 0 or more, and finite", config.tolerance);
}

namespace detail {

/// Plays tasks and their images side by side, with the same random numbers.
template <HasSymmetries F>
class SymmetryCheck {
public:
  SymmetryCheck(const F& family, const SymmetryCheckConfig& config)
      : family_{family}, config_{config}, symmetries_{family.symmetries()} {}

  void run() {
    if (std::ranges::empty(symmetries_))
      fail("check_symmetries: symmetries() is empty; it must begin with the identity");
    const std::vector<int> tasks = drawn_tasks();
    for (number_ = 0; number_ < static_cast<std::size_t>(std::ranges::size(symmetries_)); ++number_) {
      std::set<int> images;
      for (const int task : tasks) {
        begin_task(task);
        if (!images.insert(image_).second) refuse("another task has the same image");
      }
      for (const int task : tasks) {
        begin_task(task);
        for (episode_ = 0; episode_ < config_.episodes; ++episode_) play();
      }
    }
  }

private:
  using E = EnvironmentOf<F>;
  using Values = std::vector<float>;

  /// All tasks, or a random selection.
  [[nodiscard]] std::vector<int> drawn_tasks() const {
    const int count = family_.task_count();
    Rng rng{config_.seed};
    std::set<int> drawn;
    if (count <= config_.tasks) {
      for (int task = 0; task < count; ++task) drawn.insert(task);
    } else {
      while (static_cast<int>(drawn.size()) < config_.tasks) drawn.insert(rng.below(count));
    }
    return {drawn.begin(), drawn.end()};
  }

  void begin_task(int task) {
    task_ = task;
    image_ = symmetry().map_task(task);
    episode_ = step_ = 0;
    if (image_ < 0 || image_ >= family_.task_count())
      refuse(fmt::format("the image task {} is outside 0 .. {}", image_, family_.task_count() - 1));
    if (number_ == 0 && image_ != task) refuse("the first symmetry is not the identity");
    const E env = family_.make(task), other = family_.make(image_);
    observation_space_ = env.observation_space();
    action_space_ = env.action_space();
    check_sound_spaces();
    if (other.observation_space() != observation_space_ || other.action_space() != action_space_) {
      refuse(fmt::format("spaces differ: {} and {}, {} and {}", to_string(observation_space_),
                         to_string(other.observation_space()), to_string(action_space_),
                         to_string(other.action_space())));
    }
    if (const auto* discrete = std::get_if<Discrete>(&action_space_)) check_one_to_one(discrete->count);
  }

  /// Checks the spaces before anything is read from them.
  void check_sound_spaces() const {
    validate(observation_space_, "observation space of a family with symmetries");
    validate(action_space_, "action space of a family with symmetries");
    check_step_takes<E>(action_space_, "environment of a family with symmetries");
    if (HasActionMask<E> && !std::holds_alternative<Discrete>(action_space_))
      refuse("it has an action mask, but its action space is " + to_short_string(action_space_) + ", not discrete");
  }

  void check_one_to_one(int action_count) const {
    std::set<float> images;
    for (int a = 0; a < action_count; ++a) {
      if (!images.insert(mapped_action({static_cast<float>(a)})[0]).second)
        refuse(fmt::format("action {} has the same image as an earlier action", a));
    }
  }

  void play() {
    Rng rng = Rng{config_.seed, static_cast<std::uint64_t>(task_)}.fork(static_cast<std::uint64_t>(episode_));
    Rng action_rng = rng.fork(0);
    E env = family_.make(task_), other = family_.make(image_);
    step_ = 0;
    const Rng before = rng;
    env.reset(rng);
    reset_to_image(other, mapped_observation(observed(env)), before);
    Rng other_rng = rng;
    for (step_ = 1; step_ <= config_.max_steps; ++step_) {
      const Values action = allowed_action(env, other, action_rng), image = mapped_action(action);
      const StepResult result = icrl::step(env, std::span<const float>{action}, rng);
      const StepResult other_result = icrl::step(other, std::span<const float>{image}, other_rng);
      const std::string how = fmt::format("action [{}] and its image [{}] ", joined(action, ", "), joined(image, ", "));
      if (!(std::abs(result.reward - other_result.reward) <= config_.tolerance))
        refuse(how + fmt::format("earn {} and {}", result.reward, other_result.reward));
      if (result.terminated != other_result.terminated || result.truncated != other_result.truncated)
        refuse(how + "do not end both episodes alike");
      const Values seen = observed(env), wanted = mapped_observation(seen), got = observed(other);
      if (!same(wanted, got, observation_space_)) {
        refuse(how + fmt::format("lead to [{}], whose image is [{}], and to [{}]", joined(seen, ", "),
                                 joined(wanted, ", "), joined(got, ", ")));
      }
      if (result.terminated || result.truncated) return;
    }
  }

  /// Tries the same random numbers first, then others: only the distribution of a random start must be symmetric, not
  /// each single draw.
  void reset_to_image(E& other, const Values& wanted, const Rng& before) const {
    Values got;
    for (int i = 0; i < config_.max_resets; ++i) {
      Rng rng = i == 0 ? before : before.fork(static_cast<std::uint64_t>(i));
      other.reset(rng);
      got = observed(other);
      if (same(wanted, got, observation_space_)) return;
    }
    refuse(fmt::format(
        "none of {} resets of task {} starts at [{}], the image of a start of task {}; the last one started "
        "at [{}] (raise max_resets if starts are random)",
        config_.max_resets, image_, joined(wanted, ", "), task_, joined(got, ", ")));
  }

  /// A random allowed action. The masks of both environments must be images of each other.
  Values allowed_action(const E& env, const E& other, Rng& rng) const {
    Values action(static_cast<std::size_t>(value_count(action_space_)));
    sample(action_space_, rng, action);
    if constexpr (HasActionMask<E>) {
      const auto count = static_cast<std::size_t>(std::get<Discrete>(action_space_).count);
      std::vector<std::uint8_t> allowed(count), other_allowed(count);
      env.action_mask(allowed);
      other.action_mask(other_allowed);
      for (std::size_t a = 0; a < count; ++a) {
        const auto image = static_cast<std::size_t>(mapped_action({static_cast<float>(a)})[0]);
        if ((allowed[a] != 0) != (other_allowed[image] != 0))
          refuse(
              fmt::format("action {} is {}, its image {} is not", a, allowed[a] != 0 ? "allowed" : "forbidden", image));
      }
      if (std::ranges::count(allowed, std::uint8_t{0}) == static_cast<std::ptrdiff_t>(count))
        refuse("no action is allowed");
      while (allowed[static_cast<std::size_t>(action[0])] == 0) sample(action_space_, rng, action);
    }
    return action;
  }

  [[nodiscard]] Values observed(const E& env) const {
    Values values(static_cast<std::size_t>(value_count(observation_space_)));
    env.observe(values);
    return values;
  }
  [[nodiscard]] Values mapped_observation(const Values& from) const {
    Values to(from.size());
    symmetry().map_observation(from, to);
    check_image(from, to, observation_space_, "observation");
    return to;
  }
  [[nodiscard]] Values mapped_action(const Values& from) const {
    Values to(from.size());
    symmetry().map_action(from, to);
    check_image(from, to, action_space_, "action");
    return to;
  }

  void check_image(const Values& from, const Values& to, const Space& space, std::string_view what) const {
    if (!contains(space, to))
      refuse(fmt::format("{} [{}] is mapped to [{}], which is not in {}", what, joined(from, ", "), joined(to, ", "),
                         to_string(space)));
    if (number_ == 0 && from != to)
      refuse(fmt::format("the first symmetry is not the identity: it maps {} [{}] to [{}]", what, joined(from, ", "),
                         joined(to, ", ")));
  }

  [[nodiscard]] bool same(const Values& a, const Values& b, const Space& space) const {
    const float tolerance = has_ids(space) ? 0.0f : config_.tolerance;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](float x, float y) { return std::abs(x - y) <= tolerance; });
  }

  [[nodiscard]] const auto& symmetry() const { return nth(symmetries_, number_); }

  [[noreturn]] void refuse(const std::string& problem) const {
    fail("check_symmetries: symmetry {} from task {} to task {}, episode {}, step {}: {}", number_, task_, image_,
         episode_, step_, problem);
  }

  const F& family_;
  const SymmetryCheckConfig& config_;
  SymmetriesOf<F> symmetries_;
  std::size_t number_ = 0;  // number of the symmetry
  int task_ = 0, image_ = 0, episode_ = 0, step_ = 0;
  Space observation_space_, action_space_;
};

}  // namespace detail

/// For tests of your own families: plays tasks of a family with random actions and, next to each, the image of the task
/// with the images of the actions. Throws Error unless observations, rewards, masks and the ends of episodes agree
/// under each symmetry of the family and the first symmetry is the identity. Both environments must draw the same
/// random numbers in a step. Start states may be random; the image of a start state must then be a start state too.
template <HasSymmetries F>
void check_symmetries(const F& family, const SymmetryCheckConfig& config = {}) {
  validate(config);
  detail::SymmetryCheck<F>{family, config}.run();
}

}  // namespace icrl
