// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil_config.hpp>

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The defaults make a run that is described with all that decides its result", "[train]") {
  validate(DistilConfig{});

  CHECK(
      describe(DistilConfig{.updates = 100, .warmup = 10, .seed = 5}) ==
      "updates 100, batch 64, learning rate 0.003, final share 0.1, warm-up 10, betas 0.9 0.99, epsilon 1e-08, "
      "weight decay 0.3, "
      "clip 1, label smoothing 0, weight average 0, evaluate every 300, products automatic, gradient slots 4, seed 5");
}

TEST_CASE("Runs with different results have different descriptions, and the threads have no say", "[train]") {
  std::vector<std::string> descriptions{describe(DistilConfig{})};
  const auto add = [&](auto change) {
    DistilConfig config;
    change(config);
    descriptions.push_back(describe(config));
  };
  add([](auto& c) { c.updates = 1801; });
  add([](auto& c) { c.batch = 63; });
  add([](auto& c) { c.learning_rate *= 1 + 1e-15; });
  add([](auto& c) { c.final_rate_fraction = 0.2; });
  add([](auto& c) { c.warmup = 0; });
  add([](auto& c) { c.beta1 = 0.8; });
  add([](auto& c) { c.beta2 = 0.8; });
  add([](auto& c) { c.epsilon = 1e-7; });
  add([](auto& c) { c.weight_decay = 0; });
  add([](auto& c) { c.max_gradient_norm = 0; });
  add([](auto& c) { c.label_smoothing = 0.1; });
  add([](auto& c) { c.token_mask = 0.1; });
  add([](auto& c) { c.dropout.embedding = 0.1; });
  add([](auto& c) { c.dropout.residual = 0.1; });
  add([](auto& c) { c.dropout.attention = 0.1; });
  add([](auto& c) { c.ema_decay = 0.9; });
  add([](auto& c) { c.evaluate_every = 1; });
  add([](auto& c) { c.products = Products::full; });
  add([](auto& c) { c.products = Products::bfloat16; });
  add([](auto& c) { c.gradient_slots = 8; });
  add([](auto& c) { c.seed = 1; });

  for (std::size_t i = 0; i < descriptions.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) CHECK(descriptions[i] != descriptions[k]);
  CHECK(describe(DistilConfig{.token_mask = 0.3}) == describe(DistilConfig{}) + ", token mask 0.3");
  CHECK(describe(DistilConfig{.dropout = {.embedding = 0.3, .attention = 0.5}}) ==
        describe(DistilConfig{}) + ", embedding dropout 0.3, attention dropout 0.5");
  CHECK(describe(DistilConfig{.checkpoint_every = 5, .checkpoint = "a", .thread_count = 3}) ==
        describe(DistilConfig{}));
}

TEST_CASE("A value that makes no sense is named with its bounds", "[train]") {
  const auto refusal = [](DistilConfig config) { return error_of([&] { validate(config); }); };
  const double no_number = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

  CHECK(has(refusal({.updates = 0}), "distil: updates is 0, it must lie in 1 .. "));
  CHECK(has(refusal({.batch = 0}), "batch is 0"));
  CHECK(has(refusal({.learning_rate = 0}), "learning_rate is 0"));
  CHECK(has(refusal({.learning_rate = no_number}), "learning_rate is nan"));
  CHECK(has(refusal({.learning_rate = infinity}), "learning_rate is inf"));
  CHECK(has(refusal({.final_rate_fraction = 1.5}), "final_rate_fraction is 1.5, it must lie in 0 .. 1"));
  CHECK(has(refusal({.updates = 10, .warmup = 11}), "warmup is 11, it must lie in 0 .. updates = 10"));
  CHECK(has(refusal({.warmup = -1}), "warmup is -1"));
  CHECK(has(refusal({.beta1 = 1}), "beta1 is 1"));
  CHECK(has(refusal({.beta2 = -0.1}), "beta2 is -0.1"));
  CHECK(has(refusal({.epsilon = 0}), "epsilon is 0"));
  CHECK(has(refusal({.weight_decay = -1}), "weight_decay is -1"));
  CHECK(has(refusal({.max_gradient_norm = -1}), "max_gradient_norm is -1"));
  CHECK(has(refusal({.max_gradient_norm = no_number}), "max_gradient_norm is nan"));
  CHECK(has(refusal({.label_smoothing = 1}), "label_smoothing is 1"));
  CHECK(has(refusal({.token_mask = 1.5}), "distil: token_mask is 1.5, it must lie in 0 .. 1"));
  CHECK(has(refusal({.token_mask = -0.1}), "token_mask is -0.1"));
  CHECK(has(refusal({.token_mask = no_number}), "token_mask is nan"));
  CHECK(has(refusal({.dropout = {.embedding = 1}}), "dropout: embedding is 1, it must lie in [0, 1)"));
  CHECK(has(refusal({.dropout = {.residual = -0.1}}), "dropout: residual is -0.1"));
  CHECK(has(refusal({.dropout = {.attention = no_number}}), "dropout: attention is nan"));
  CHECK(has(refusal({.ema_decay = 1}), "ema_decay is 1"));
  CHECK(has(refusal({.evaluate_every = -1}), "evaluate_every is -1"));
  CHECK(has(refusal({.checkpoint_every = -1}), "checkpoint_every is -1"));
  CHECK(has(refusal({.checkpoint_every = 5}), "checkpoint_every is 5, but checkpoint is empty"));
  CHECK(has(refusal({.products = static_cast<Products>(7)}), "products is 7"));
  CHECK(has(refusal({.gradient_slots = 0}), "gradient_slots is 0"));
  CHECK(has(refusal({.thread_count = -1}), "thread_count is -1"));
  CHECK(has(refusal({.checkpoint = "a"}), "checkpoint is \"a\", but checkpoint_every is 0"));
}

TEST_CASE("As many threads work as are asked for, or as there are slots and cores", "[train]") {
  CHECK(DistilConfig{.thread_count = 3}.used_threads() == 3);
  CHECK(DistilConfig{.gradient_slots = 2, .thread_count = 3}.used_threads() == 2);
  CHECK(DistilConfig{.gradient_slots = 1}.used_threads() == 1);
  CHECK(DistilConfig{.gradient_slots = 1024}.used_threads() == default_thread_count());
}
