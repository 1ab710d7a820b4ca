// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <icrl/core/fail.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/nn/adamw.hpp>

namespace icrl {

/// How RL2 trains a model (see Rl2Trainer).
struct Rl2Config {
  int updates = 1000;   ///< in all; a resumed run does the rest of them
  int trials = 64;      ///< per update, each on a task drawn uniformly from the training tasks, with repetition
  int episodes = 10;    ///< of a trial; the model remembers across them
  int epochs = 3;       ///< passes over the trials of an update
  int minibatches = 4;  ///< gradient steps per pass, each along whole trials

  double discount = 0.99;        ///< per step, across the episodes of a trial
  double lambda = 0.95;          ///< of the advantages: 1 gives returns to the trial's end, 0 one-step errors
  double clip = 0.2;             ///< the ratio of new to old probability is clipped to [1 - clip, 1 + clip]
  double entropy_weight = 0.01;  ///< factor of the entropy, in nats, which the loss rewards
  double value_weight = 0.5;     ///< factor of half the squared error of the values
  double return_scale = 0.1;     ///< the values are learned of returns times this; choose it so that these are about 1

  /// AdamW's; its rate is the highest, after the warm-up.
  AdamWConfig optimizer{.learning_rate = 1e-3, .beta2 = 0.99, .max_gradient_norm = 0.5};
  double final_rate_fraction = 0.1;  ///< share of it at the end of half a cosine wave, which follows the warm-up
  int warmup = 10;                   ///< updates of linear rise

  int gradient_slots =
      4;                 ///< trials and gradients are split into this many parts: results depend on it, not on threads
  int thread_count = 0;  ///< 0 = all cores; at most gradient_slots are used
  std::uint64_t seed = 0;  ///< of tasks, environments, actions and the order of trials

  /// The threads of a run: `thread_count` or all cores, but at most one per gradient slot.
  [[nodiscard]] int used_threads() const { return std::min(threads_or_all(thread_count), gradient_slots); }
  /// Gradient steps of one update.
  [[nodiscard]] int steps_per_update() const { return epochs * minibatches; }
};

/// Throws Error naming the first invalid value.
inline void validate(const Rl2Config& c) {
  const auto check = [](const char* name, auto value, auto least, auto most) {
    if (!(value >= least && value <= most)) fail("RL2: {} is {}, it must lie in {} .. {}", name, value, least, most);
  };
  constexpr double huge = std::numeric_limits<double>::max(), tiny = std::numeric_limits<double>::min();
  check("trials", c.trials, 1, 1 << 20);
  check("episodes", c.episodes, 1, 1 << 20);
  check("epochs", c.epochs, 1, 1 << 10);
  check("minibatches", c.minibatches, 1, std::min(c.trials, 1 << 10));
  check("updates", c.updates, 1, (1 << 30) / c.steps_per_update());
  check("discount", c.discount, 0.0, 1.0);
  check("lambda", c.lambda, 0.0, 1.0);
  check("clip", c.clip, 0.0, huge);
  check("entropy_weight", c.entropy_weight, 0.0, huge);
  check("value_weight", c.value_weight, 0.0, huge);
  check("return_scale", c.return_scale, tiny, huge);
  validate(c.optimizer);
  check("final_rate_fraction", c.final_rate_fraction, 0.0, 1.0);
  check("warmup", c.warmup, 0, c.updates);
  check("gradient_slots", c.gradient_slots, 1, 1024);
  check("thread_count", c.thread_count, 0, 1024);
}

/// All values that the result depends on: a run can resume another one with the same description.
[[nodiscard]] inline std::string describe(const Rl2Config& c) {
  const AdamWConfig& o = c.optimizer;
  return fmt::format(
      "RL2, updates {}, trials {} of {} episodes, {} passes in {} minibatches, discount {}, lambda {}, clip {}, entropy {}, "
      "value {}, return scale {}, learning rate {}, final share {}, warm-up {}, betas {} {}, epsilon {}, weight decay {}, "
      "largest norm {}, gradient slots {}, seed {}",
      c.updates, c.trials, c.episodes, c.epochs, c.minibatches, c.discount, c.lambda, c.clip, c.entropy_weight,
      c.value_weight, c.return_scale, o.learning_rate, c.final_rate_fraction, c.warmup, o.beta1, o.beta2, o.epsilon,
      o.weight_decay, o.max_gradient_norm, c.gradient_slots, c.seed);
}

}  // namespace icrl
