// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/compress/action_divergence.hpp>
#include <icrl/compress/roll_out.hpp>

namespace icrl {

/// How close a model stays to its reference, step by step.
struct Agreement {
  double kl = 0;           ///< KL(reference || model), mean per step, nats
  double share = 0;        ///< of steps at which both take the same action at temperature 0
  std::int64_t steps = 0;  ///< compared
};

namespace detail {

/// WatchedAgents that compare what both models say.
template <Streaming Reference, Streaming Model>
class ComparedAgents {
public:
  ComparedAgents(const Reference& reference, const Model& model, std::span<const Rng> rngs, const RollOutConfig& config)
      : reference_{&reference},
        agents_{reference, model, rngs, config.decoding, config.context_count},
        action_(2 * static_cast<std::size_t>(reference.actions.action_size())) {}

  [[nodiscard]] int member_count() const { return agents_.member_count(); }
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    agents_.check_spaces(observation_space, action_space);
  }
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    agents_.act(group, actions, rngs);
    const std::size_t rows = group.members.size(), mask_size = rows == 0 ? 0 : group.masks.size() / rows;
    for (std::size_t i = 0; i < rows; ++i) compare(static_cast<int>(i), group.masks.subspan(i * mask_size, mask_size));
  }
  void learn(int member, const Transition& transition) { agents_.learn(member, transition); }

  /// Sums over steps.
  [[nodiscard]] const Agreement& totals() const { return totals_; }

private:
  void compare(int i, std::span<const std::uint8_t> allowed) {
    using R = typename Reference::Scalar;
    using S = typename Model::Scalar;
    const auto width = static_cast<std::size_t>(reference_->actions.parameter_count());
    const auto expected = agents_.outputs(i).first(width);
    const auto found = agents_.watcher_outputs(i).first(width);
    totals_.kl += ActionDivergence{}.template add_gradient<R, S>(reference_->actions, expected, found, 1, {}, scratch_);
    const auto one = std::span{action_}.first(action_.size() / 2), other = std::span{action_}.last(action_.size() / 2);
    Rng unused{0};  // temperature 0 draws nothing
    reference_->actions.template sample<R>(expected, {.temperature = 0}, allowed, unused, one);
    reference_->actions.template sample<S>(found, {.temperature = 0}, allowed, unused, other);
    totals_.share += std::ranges::equal(one, other) ? 1 : 0;
    ++totals_.steps;
  }

  const Reference* reference_;
  WatchedAgents<Reference, Model> agents_;
  std::vector<float> action_;  // both actions of one step
  ActionDivergence::Scratch scratch_;
  Agreement totals_;
};

}  // namespace detail

/// How close `model` stays to `reference` on rollouts of the reference: one rollout on each of `tasks`. Each model
/// keeps its own context, so they may differ in kind and context length. A model that agrees may still improve less:
/// that is what evaluate() measures.
template <Streaming Reference, Streaming Model, TaskFamily F>
[[nodiscard]] Agreement measure_agreement(const Reference& reference, const Model& model, const F& family,
                                          std::span<const int> tasks, const RollOutConfig& config = {}) {
  const std::size_t group_size = static_cast<std::size_t>(std::max(config.group_size, 1));
  std::vector<Agreement> groups((tasks.size() + group_size - 1) / group_size);
  detail::roll_out_groups(family, tasks, config,
                          [&](int group, int, std::vector<EnvironmentOf<F>> envs, std::span<const Rng> rngs) {
                            const std::vector<Rng> model_rngs = detail::watcher_rngs(rngs);
                            detail::ComparedAgents<Reference, Model> agents{reference, model, model_rngs, config};
                            (void)run_group(agents, std::move(envs), config.episodes, rngs);
                            groups[static_cast<std::size_t>(group)] = agents.totals();
                          });
  Agreement all;
  for (const Agreement& group : groups) {
    all.kl += group.kl;
    all.share += group.share;
    all.steps += group.steps;
  }
  if (all.steps == 0) fail("agreement: there are no tasks, it needs at least one");
  all.kl /= static_cast<double>(all.steps);
  all.share /= static_cast<double>(all.steps);
  return all;
}

}  // namespace icrl
