// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include <icrl/history/context_batch.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/dropout_transformer.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/objective.hpp>
#include <icrl/train/token_mask.hpp>

namespace icrl::detail {

/// What a slot of an update forks for dropout; window b of the slot has fork b of it.
inline constexpr std::uint64_t dropout_stream = token_mask_stream + 1;

/// The training pass of a run: the model's own, or the one in bfloat16 or with dropout if the configuration says so.
/// The model must outlive it.
template <Trainable M, Objective<M> O>
class RunPass {
public:
  /// The memory of one thread. Only the pass that is used takes some.
  struct Scratch {
    WindowScratch<M, O> plain;                       ///< of the model's own pass
    WindowScratch<Bf16PassOrNone<M>, O> bf16;        ///< of the pass in bfloat16
    WindowScratch<DropoutPassOrNone<M>, O> dropout;  ///< of the pass with dropout
  };

  /// `config`: with the choice in place of automatic products, see `used_products`.
  RunPass(const M& model, const DistilConfig& config) : model_{model} {
    if constexpr (HasBf16Pass<M>) {
      if (config.products == Products::bfloat16) bf16_.emplace(model);
    }
    if constexpr (HasDropoutPass<M>) {
      if (config.dropout.is_used()) dropout_.emplace(model, config.dropout);
    }
  }

  /// Has to be called after every change of the weights.
  void pack() {
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) bf16_->pack();
    }
  }

  /// The loss of one window; adds its gradient to `gradient`. `masks`: what dropout is a function of.
  double loss(const O& objective, const ContextBatch& windows, int window, const Rng& masks, Scratch& scratch,
              M& gradient) const {
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) return window_loss(*bf16_, objective, windows, window, scratch.bf16, gradient);
    }
    if constexpr (HasDropoutPass<M>) {
      if (dropout_) {
        scratch.dropout.cache.masks = masks;
        return window_loss(*dropout_, objective, windows, window, scratch.dropout, gradient);
      }
    }
    return window_loss(model_, objective, windows, window, scratch.plain, gradient);
  }

private:
  const M& model_;
  std::optional<Bf16PassOrNone<M>> bf16_;        // if products are in bfloat16
  std::optional<DropoutPassOrNone<M>> dropout_;  // if there is dropout
};

}  // namespace icrl::detail
