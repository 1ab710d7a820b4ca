// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include <icrl/core/fail.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/math/bfloat16.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/train/distil_config.hpp>

// What a trainer checks before the first update.
namespace icrl::detail {

/// Numbers that are sound in double may be none in the model's precision.
template <typename Scalar>
void expect_representable(const DistilConfig& config) {
  constexpr auto least = std::numeric_limits<Scalar>::min(), most = std::numeric_limits<Scalar>::max();
  const auto in_range = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      fail("distil: {} is {}, for this model it must lie in {} .. {}", name, value, low, high);
  };
  in_range("learning_rate", config.learning_rate, least, most);
  in_range("epsilon", config.epsilon, least, most);
  in_range("weight_decay", config.weight_decay * config.learning_rate, 0, 1);
  if (Scalar(config.beta1) == 1 || Scalar(config.beta2) == 1)
    fail("distil: betas {} and {} are 1 in this model's precision", config.beta1, config.beta2);
}

/// Throws Error where bfloat16 is asked for and the model has no such pass.
template <Trainable M>
[[nodiscard]] Products used_products(const M& model, Products wanted) {
  bool can_be = false;
  if constexpr (HasBf16Pass<M>) can_be = Bf16Pass<M>::can_be(model);
  if (wanted == Products::bfloat16 && !can_be) {
    fail(
        "distil: this model cannot multiply in bfloat16, which takes float weights and heads of an even size; choose "
        "Products::automatic or Products::full");
  }
  if (wanted != Products::automatic) return wanted;
  return can_be && bfloat16_is_quicker() ? Products::bfloat16 : Products::full;
}

/// Throws Error unless the model can be trained on such windows.
template <Trainable M>
void validate_pairing(const M& model, const WindowSampler& sampler) {
  using Scalar = typename M::Scalar;
  const WindowConfig& windows = sampler.config();
  const std::optional<int> max_window = model.max_window();
  if (max_window && windows.context != *max_window)
    fail("distil: windows of {} steps for a model with a context of {}", windows.context, *max_window);
  if (HasWindowStart<M> && windows.start != window_start_of(model)) {
    fail("distil: the windows start {}, but the model says that it is trained on windows that start {}",
         to_string(windows.start), to_string(window_start_of(model)));
  }
  if (max_window && windows.start == WindowStart::episode && sampler.longest_episode() > windows.context) {
    fail(
        "distil: the longest episode has {} rows, windows that start {} have {}: no agent could act to the end of it; "
        "take a longer context or WindowStart::anywhere",
        sampler.longest_episode(), to_string(windows.start), windows.context);
  }
  const auto has_weight = [](const auto& p) {
    return p.rows != 1 && std::any_of(p.data, p.data + p.rows * p.columns, [](Scalar x) { return x != 0; });
  };
  if (const auto all = parameters_of(model); std::none_of(all.begin(), all.end(), has_weight))
    fail("distil: all matrices of the model are zero, nothing can be learned (was it initialised?)");
  if (const std::string differ = difference(sampler.layout(), model.layout); !differ.empty())
    fail("distil: the windows' step layout differs from the model's: {}", differ);
}

/// Throws Error unless every rank gets as many gradient slots, and so many that they are a branch of the tree along
/// which slots are summed.
inline void validate_ranks(int rank_count, const DistilConfig& config) {
  const int each = config.gradient_slots / rank_count;
  if (rank_count == 1 || (each * rank_count == config.gradient_slots && (each & (each - 1)) == 0)) return;
  fail("distil: {} ranks share {} gradient slots, each takes 1, 2, 4, 8, .. of them", rank_count,
       config.gradient_slots);
}

}  // namespace icrl::detail
