// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/rl2_config.hpp>

#include <cmath>
#include <set>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Each value of an RL2 configuration outside its range is refused by name", "[train]") {
  const auto error = [](const Rl2Config& config) { return error_of([&] { validate(config); }); };

  CHECK(error({}).empty());
  CHECK(error({.trials = 1, .minibatches = 1, .discount = 1, .lambda = 0, .clip = 0, .warmup = 0}).empty());
  CHECK(error({.updates = 0}) == "RL2: updates is 0, it must lie in 1 .. 89478485");
  CHECK(error({.trials = 0}) == "RL2: trials is 0, it must lie in 1 .. 1048576");
  CHECK(has(error({.episodes = 0}), "RL2: episodes is 0"));
  CHECK(has(error({.epochs = 0}), "RL2: epochs is 0"));
  CHECK(error({.trials = 8, .minibatches = 9}) == "RL2: minibatches is 9, it must lie in 1 .. 8");
  CHECK(error({.discount = 1.01}) == "RL2: discount is 1.01, it must lie in 0 .. 1");
  CHECK(error({.discount = std::nan("")}) == "RL2: discount is nan, it must lie in 0 .. 1");
  CHECK(has(error({.lambda = -0.1}), "RL2: lambda is -0.1"));
  CHECK(has(error({.clip = -1}), "RL2: clip is -1"));
  CHECK(has(error({.entropy_weight = -1}), "RL2: entropy_weight is -1"));
  CHECK(has(error({.value_weight = std::nan("")}), "RL2: value_weight is nan"));
  CHECK(has(error({.return_scale = 0}), "RL2: return_scale is 0"));
  CHECK(has(error({.return_scale = HUGE_VAL}), "RL2: return_scale is inf"));
  CHECK(has(error({.optimizer = {.learning_rate = -1}}), "AdamW: learning_rate is -1"));
  CHECK(has(error({.final_rate_fraction = 2}), "RL2: final_rate_fraction is 2"));
  CHECK(error({.updates = 5, .warmup = 6}) == "RL2: warmup is 6, it must lie in 0 .. 5");
  CHECK(has(error({.gradient_slots = 0}), "RL2: gradient_slots is 0"));
  CHECK(has(error({.thread_count = -1}), "RL2: thread_count is -1"));
}

TEST_CASE("The description of an RL2 configuration tells apart all that results depend on", "[train]") {
  AdamWConfig other_rate = Rl2Config{}.optimizer;
  other_rate.learning_rate = 0.5;
  AdamWConfig other_norm = Rl2Config{}.optimizer;
  other_norm.max_gradient_norm = 9;
  const Rl2Config configs[] = {{},
                               {.updates = 9},
                               {.trials = 9},
                               {.episodes = 9},
                               {.epochs = 9},
                               {.minibatches = 9},
                               {.discount = 0.5},
                               {.lambda = 0.5},
                               {.clip = 0.5},
                               {.entropy_weight = 0.3},
                               {.value_weight = 0.3},
                               {.return_scale = 0.3},
                               {.optimizer = other_rate},
                               {.optimizer = other_norm},
                               {.final_rate_fraction = 0.3},
                               {.warmup = 9},
                               {.gradient_slots = 9},
                               {.seed = 9}};
  std::set<std::string> texts;
  for (const Rl2Config& config : configs) texts.insert(describe(config));

  CHECK(texts.size() == std::size(configs));
  CHECK(describe(Rl2Config{.thread_count = 3}) == describe(Rl2Config{}));
}
