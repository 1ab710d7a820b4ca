// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/checksum.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/math/bfloat16.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/tensors.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/objective.hpp>

// What a trainer checks, and how it is told its optimizer.
namespace icrl::detail {

/// Values that are valid in double may overflow or underflow in the model's precision. Throws Error, which begins with
/// `what`.
template <typename Scalar>
void check_representable(std::string_view what, const AdamWConfig& config) {
  constexpr auto least = static_cast<double>(std::numeric_limits<Scalar>::min()),
                 most = static_cast<double>(std::numeric_limits<Scalar>::max());
  const auto in_range = [what](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      fail("{}: {} is {}, for this model it must lie in {} .. {}", what, name, value, low, high);
  };
  in_range("learning_rate", config.learning_rate, least, most);
  in_range("epsilon", config.epsilon, least, most);
  in_range("weight_decay", config.weight_decay * config.learning_rate, 0, 1);
  if (Scalar(config.beta1) == 1 || Scalar(config.beta2) == 1)
    fail("{}: beta1 is {} and beta2 is {}; one of them rounds to 1 in this model's precision", what, config.beta1,
         config.beta2);
}

/// Throws Error if bfloat16 is requested and the model has no such pass.
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

/// The same for a run. Throws Error, too, if dropout is requested and the model has no such pass, or bfloat16 with it.
template <Trainable M>
[[nodiscard]] Products used_products(const M& model, const DistilConfig& config) {
  if (!config.dropout.is_used()) return used_products(model, config.products);
  const auto refuse = [&](const std::string& why) {
    fail("distil: dropout is {} (embedding), {} (residual) and {} (attention), but {}", config.dropout.embedding,
         config.dropout.residual, config.dropout.attention, why);
  };
  if (!HasDropoutPass<M>) {
    refuse(fmt::format("a model of kind \"{}\" has no training pass with dropout (set all rates to 0)",
                       std::string_view{M::kind}));
  }
  if (config.products == Products::bfloat16) {
    refuse(
        "products are bfloat16, and a pass with dropout has full ones only (choose Products::automatic or "
        "Products::full)");
  }
  return Products::full;
}

/// Throws Error unless the model can be trained on such windows.
template <Trainable M>
void validate_pairing(const M& model, const WindowSampler& sampler) {
  using Scalar = typename M::Scalar;
  const WindowConfig& windows = sampler.config();
  const std::optional<int> max_window = model.max_window();
  if (max_window && windows.context != *max_window)
    fail("distil: the windows have {} steps, but the model's context is {}; they must be equal", windows.context,
         *max_window);
  if (HasWindowStart<M> && windows.start != window_start_of(model)) {
    fail("distil: the windows start {}, but the model's window_start is {}", to_string(windows.start),
         to_string(window_start_of(model)));
  }
  if (max_window && windows.start == WindowStart::episode && sampler.longest_episode() > windows.context) {
    fail(
        "distil: the longest episode has {} rows, windows that start {} have {}, so no agent could finish it; "
        "take a longer context or WindowStart::anywhere",
        sampler.longest_episode(), to_string(windows.start), windows.context);
  }
  const auto has_weight = [](const auto& p) {
    return p.rows != 1 && std::any_of(p.data, p.data + p.rows * p.columns, [](Scalar x) { return x != 0; });
  };
  if (const auto all = parameters_of(model); std::none_of(all.begin(), all.end(), has_weight))
    fail("distil: all matrices of the model are zero, so it cannot learn (call initialize() first)");
  if (const std::string differ = difference(sampler.layout(), model.layout); !differ.empty())
    fail("distil: the windows' step layout differs from the model's: {}", differ);
}

/// Throws Error unless all ranks get the same number of gradient slots, a power of two, so that the slots of a rank are
/// a subtree of the tree along which slots are summed.
inline void validate_ranks(int rank_count, const DistilConfig& config) {
  const int each = config.gradient_slots / rank_count;
  if (rank_count == 1 || (each * rank_count == config.gradient_slots && (each & (each - 1)) == 0)) return;
  fail("distil: gradient_slots is {}, but it must be {} ranks times a power of two", config.gradient_slots, rank_count);
}

/// An objective may have its own `validate`. It must have the label smoothing of the configuration, from which a
/// checkpoint's description takes it. One whose `reads_windows` is true, because it runs a teacher on them, would see
/// masked rows, too, so none may be masked.
template <typename O>
void validate_objective(const O& objective, const DistilConfig& config) {
  if constexpr (requires { validate(objective); }) validate(objective);
  bool reads_windows = false;
  if constexpr (requires { reads_windows = O::reads_windows; }) reads_windows = O::reads_windows;
  if (reads_windows && config.token_mask != 0)
    fail("distil: token_mask is {}, but the objective reads the rows that it would hide: it must be 0",
         config.token_mask);
  double used = 0;
  if constexpr (requires { used = objective.label_smoothing; }) used = objective.label_smoothing;
  if (used == config.label_smoothing) return;
  fail("distil: label_smoothing is {}, but the objective has {} (give both the same)", config.label_smoothing, used);
}

/// Throws Error unless all ranks start from the same state, by the checksums of their states.
inline void validate_equal_ranks(const std::vector<std::uint32_t>& checksums) {
  for (std::size_t rank = 1; rank < checksums.size(); ++rank) {
    if (checksums[rank] == checksums[0]) continue;
    fail(
        "distil: rank {} begins with other weights, update, configuration or windows than rank 0 (does it see the same "
        "checkpoint, seeds, histories and kind of processor?)",
        rank);
  }
}

/// Checksum of the tensors that training does not change and checkpoints do not hold, because a run depends on them,
/// too. Empty where there are none.
template <Trainable M>
[[nodiscard]] std::string describe_fixed_tensors(const M& model) {
  std::vector<std::string> trained;
  for (const auto& p : parameters_of(model)) trained.push_back(p.name);
  std::uint32_t checksum = 0;
  bool has_any = false;
  for (const TensorView& tensor : tensors_of(model)) {
    if (std::find(trained.begin(), trained.end(), tensor.name) != trained.end()) continue;
    has_any = true;
    checksum = crc32c(std::as_bytes(std::span{tensor.name}), checksum);
    checksum = crc32c(tensor.bytes, checksum);
  }
  return has_any ? fmt::format("; fixed tensors {:08x}", checksum) : std::string{};
}

[[nodiscard]] inline AdamWConfig optimizer_config(const DistilConfig& config) {
  return {.learning_rate = config.learning_rate,
          .beta1 = config.beta1,
          .beta2 = config.beta2,
          .epsilon = config.epsilon,
          .weight_decay = config.weight_decay,
          .max_gradient_norm = config.max_gradient_norm};
}

/// Throws Error if the loss or the norm of the gradient of update `update` + 1 is not finite.
inline void check_finite(double loss, double norm, int update, const DistilConfig& config) {
  if (std::isfinite(loss) && std::isfinite(norm)) return;
  fail(
      "distil: update {} of {}: loss {}, gradient norm {}; the weights are still those before it (is the "
      "learning rate {} too high, or an observation or reward huge?)",
      update + 1, config.updates, loss, norm, config.learning_rate);
}

}  // namespace icrl::detail
