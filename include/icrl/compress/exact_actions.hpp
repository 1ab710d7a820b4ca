// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <icrl/env/action_distribution.hpp>
#include <icrl/math/exact_rotary.hpp>

namespace icrl {

/// An `ActionDistribution` that draws ids with the same bits on every target: its exponential is a fixed sequence of
/// operations, not the math library's. Numbers of a Box are drawn as in ActionDistribution, with the math library.
class ExactActions : public ActionDistribution {
public:
  /// As in ActionDistribution.
  explicit ExactActions(const Space& action_space)
      : ActionDistribution{action_space}, counts_{icrl::id_counts(action_space)} {}

  /// See ActionDistribution::sample.
  template <typename S>
  void sample(std::span<const S> outputs, const Decoding& decoding, std::span<const std::uint8_t> allowed, Rng& rng,
              std::span<float> action) const {
    if (counts_.empty() || decoding.temperature == 0)
      return ActionDistribution::sample<S>(outputs, decoding, allowed, rng, action);
    std::size_t first = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const auto count = static_cast<std::size_t>(counts_[i]);
      action[i] = static_cast<float>(draw(outputs.subspan(first, count), decoding, allowed, rng));
      first += count;
    }
  }

private:
  template <typename S>
  static std::size_t draw(std::span<const S> logits, const Decoding& decoding, std::span<const std::uint8_t> allowed,
                          Rng& rng) {
    const auto is_allowed = [&](std::size_t k) { return allowed.empty() || allowed[k] != 0; };
    std::size_t best = logits.size();
    for (std::size_t k = 0; k < logits.size(); ++k)
      if (is_allowed(k) && (best == logits.size() || logits[k] > logits[best])) best = k;
    ICRL_ASSERT(best < logits.size(), "the action mask allows no action");
    const auto weight_of = [&](std::size_t k) {
      constexpr double log2_of_e = 1.4426950408889634;
      if (!is_allowed(k)) return 0.0;
      const double weight =
          detail::exact_exp2(static_cast<double>(logits[k] - logits[best]) / decoding.temperature * log2_of_e);
      return weight < decoding.min_p ? 0.0 : weight;  // the likeliest one's is 1
    };
    double total = 0;
    for (std::size_t k = 0; k < logits.size(); ++k) total += weight_of(k);
    double left = detail::exact_product(rng.uniform(), total);
    for (std::size_t k = 0; k < logits.size(); ++k) {
      left -= weight_of(k);
      if (left < 0 && weight_of(k) > 0) return k;
    }
    return best;
  }

  std::vector<int> counts_;  // of the action's components; empty for a Box
};

}  // namespace icrl
