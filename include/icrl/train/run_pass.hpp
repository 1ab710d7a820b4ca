// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include <icrl/history/context_batch.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/objective.hpp>

namespace icrl::detail {

/// The training pass of a run: the model's own, or the one in bfloat16 if the configuration says so. The model must
/// outlive it.
template <Trainable M, Objective<M> O>
class RunPass {
public:
  /// The memory of one thread. Only the pass that is used takes some.
  struct Scratch {
    WindowScratch<M, O> plain;                 ///< of the model's own pass
    WindowScratch<Bf16PassOrNone<M>, O> bf16;  ///< of the pass in bfloat16
  };

  /// `config`: with the choice in place of automatic products, see `used_products`.
  RunPass(const M& model, const DistilConfig& config) : model_{model} {
    if constexpr (HasBf16Pass<M>) {
      if (config.products == Products::bfloat16) bf16_.emplace(model);
    }
  }

  /// Has to be called after every change of the weights.
  void take_weights() {
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) bf16_->pack();
    }
  }

  /// The loss of one window; adds its gradient to `gradient`.
  double loss(const O& objective, const ContextBatch& windows, int window, Scratch& scratch, M& gradient) const {
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) return window_loss(*bf16_, objective, windows, window, scratch.bf16, gradient);
    }
    return window_loss(model_, objective, windows, window, scratch.plain, gradient);
  }

private:
  const M& model_;
  std::optional<Bf16PassOrNone<M>> bf16_;  // if products are in bfloat16
};

}  // namespace icrl::detail
