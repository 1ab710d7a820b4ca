// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

#include <icrl/core/fail.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/nn/dropout.hpp>

namespace icrl {

/// The precision of the factors of matrix products in training. Sums, norms, softmax and weights keep the model's
/// precision.
enum class Products {
  automatic,  ///< bfloat16 where `bfloat16_is_quicker()` and the model can, else full
  full,       ///< the model's own numbers
  bfloat16    ///< 8 bits of precision
};

/// "automatic", "full" or "bfloat16".
[[nodiscard]] inline const char* to_string(Products products) {
  switch (products) {
    case Products::automatic:
      return "automatic";
    case Products::full:
      return "full";
    case Products::bfloat16:
      return "bfloat16";
  }
  return "?";
}

/// How a model is distilled from histories.
struct DistilConfig {
  int updates = 1800;  ///< in all; a resumed run does the rest of them
  int batch = 64;      ///< windows per update

  double learning_rate = 3e-3;       ///< the highest, after the warm-up
  double final_rate_fraction = 0.1;  ///< the last rate as a share of it, reached along half a cosine wave
  int warmup = 200;                  ///< updates in which the rate rises linearly
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;  ///< AdamW's
  double weight_decay = 0.3;     ///< of matrices; vectors (gains, biases, the embedding of rewards) are not decayed
  double max_gradient_norm = 1;  ///< gradients are scaled down to this norm; 0 = never
  double label_smoothing = 0;    ///< share of the label's probability that is spread over all ids
  double token_mask = 0;         ///< share of rows that hide the step before, see token_mask.hpp
  DropoutRates dropout{};        ///< of training passes, for models that have one with dropout; products are full then
  /// Decay of a moving average of the weights, which is evaluated and returned instead of them; 0 = none.
  double ema_decay = 0;

  int evaluate_every = 300;            ///< updates; the last one is evaluated too; 0 = never
  int checkpoint_every = 0;            ///< updates; 0 = never
  std::filesystem::path checkpoint{};  ///< the file; a run that finds it resumes from it

  Products products = Products::automatic;  ///< results depend on it

  int gradient_slots = 4;  ///< the gradient is summed in this many parts: results depend on it, not on the threads
  int thread_count = 0;    ///< 0 = all cores; at most gradient_slots are used
  std::uint64_t seed = 0;  ///< of the random choice of windows

  /// The threads of a run: `thread_count` or all cores, but at most one per gradient slot.
  [[nodiscard]] int used_threads() const { return std::min(threads_or_all(thread_count), gradient_slots); }
};

/// Throws Error naming the first invalid value.
inline void validate(const DistilConfig& c) {
  constexpr int any = std::numeric_limits<int>::max();
  const auto whole = [](const char* name, int value, int least, int most) {
    if (value < least || value > most) fail("distil: {} is {}, it must lie in {} .. {}", name, value, least, most);
  };
  const auto real = [](const char* name, double value, double least, double most) {
    if (!(value >= least && value <= most)) fail("distil: {} is {}, it must lie in {} .. {}", name, value, least, most);
  };
  constexpr double tiny = std::numeric_limits<double>::min(), huge = std::numeric_limits<double>::max(),
                   below_one = 1 - 1e-12;
  whole("updates", c.updates, 1, any);
  whole("batch", c.batch, 1, any);
  real("learning_rate", c.learning_rate, tiny, huge);
  real("final_rate_fraction", c.final_rate_fraction, 0, 1);
  if (c.warmup < 0 || c.warmup > c.updates)
    fail("distil: warmup is {}, it must lie in 0 .. updates = {}", c.warmup, c.updates);
  real("beta1", c.beta1, 0, below_one);
  real("beta2", c.beta2, 0, below_one);
  real("epsilon", c.epsilon, tiny, huge);
  real("weight_decay", c.weight_decay, 0, huge);
  real("max_gradient_norm", c.max_gradient_norm, 0, huge);
  real("label_smoothing", c.label_smoothing, 0, below_one);
  real("token_mask", c.token_mask, 0, 1);
  validate(c.dropout);
  real("ema_decay", c.ema_decay, 0, below_one);
  whole("evaluate_every", c.evaluate_every, 0, any);
  whole("checkpoint_every", c.checkpoint_every, 0, any);
  if (c.checkpoint_every > 0 && c.checkpoint.empty())
    fail("distil: checkpoint_every is {}, but checkpoint is empty (give it a path)", c.checkpoint_every);
  if (c.checkpoint_every == 0 && !c.checkpoint.empty())
    fail("distil: checkpoint is \"{}\", but checkpoint_every is 0 (set it, or leave checkpoint empty)",
         c.checkpoint.string());
  whole("products", static_cast<int>(c.products), static_cast<int>(Products::automatic),
        static_cast<int>(Products::bfloat16));
  whole("gradient_slots", c.gradient_slots, 1, 1024);
  whole("thread_count", c.thread_count, 0, 1024);
}

/// All values that the result depends on: a run can resume another one with the same description. Call it with
/// `trainer.config()`, where automatic products have been replaced by the choice. Options that came after the first
/// checkpoints are named only where they are used, so that those checkpoints stay valid.
[[nodiscard]] inline std::string describe(const DistilConfig& c) {
  std::string text = fmt::format(
      "updates {}, batch {}, learning rate {}, final share {}, warm-up {}, betas {} {}, epsilon {}, weight decay {}, "
      "clip {}, label smoothing {}, weight average {}, evaluate every {}, products {}, gradient slots {}, seed {}",
      c.updates, c.batch, c.learning_rate, c.final_rate_fraction, c.warmup, c.beta1, c.beta2, c.epsilon, c.weight_decay,
      c.max_gradient_norm, c.label_smoothing, c.ema_decay, c.evaluate_every, to_string(c.products), c.gradient_slots,
      c.seed);
  const auto add_if_used = [&](const char* name, double value) {
    if (value != 0) text += fmt::format(", {} {}", name, value);
  };
  add_if_used("token mask", c.token_mask);
  add_if_used("embedding dropout", c.dropout.embedding);
  add_if_used("residual dropout", c.dropout.residual);
  add_if_used("attention dropout", c.dropout.attention);
  return text;
}

}  // namespace icrl
