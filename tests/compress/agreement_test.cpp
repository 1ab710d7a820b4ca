// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/agreement.hpp>

#include <cmath>
#include <vector>

#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/dark_room_models.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Says the same at every step.
CausalTransformer<float> constant_model(std::vector<float> outputs) {
  CausalTransformer<float> model{{.width = 4, .layer_count = 1, .head_count = 1, .context = 24}, small_room_layout()};
  for (std::size_t i = 0; i < outputs.size(); ++i) model.head.bias(static_cast<Index>(i)) = outputs[i];
  return model;
}

}  // namespace

TEST_CASE("A model agrees with itself at every step", "[compress]") {
  const auto model = small_room_model(1);

  const Agreement found = measure_agreement(model, model, small_rooms(), small_room_tasks(), {.episodes = 3});

  CHECK(found.kl == 0);
  CHECK(found.share == 1);
  CHECK(found.steps == 5 * 3 * 8);
}

TEST_CASE("Agreement of models that always say the same, by hand", "[compress]") {
  const auto log_of = [](double p) { return static_cast<float>(std::log(p)); };
  const auto reference = constant_model({log_of(0.5), log_of(0.2), log_of(0.1), log_of(0.1), log_of(0.1)}),
             close = constant_model({log_of(0.3), log_of(0.2), log_of(0.2), log_of(0.2), log_of(0.1)}),
             other = constant_model({log_of(0.1), log_of(0.2), log_of(0.1), log_of(0.1), log_of(0.5)});

  const Agreement near = measure_agreement(reference, close, small_rooms(), small_room_tasks(), {.episodes = 2});
  const Agreement far = measure_agreement(reference, other, small_rooms(), small_room_tasks(), {.episodes = 2});

  CHECK(near.kl == Approx(0.5 * std::log(0.5 / 0.3) + 2 * 0.1 * std::log(0.1 / 0.2)).epsilon(1e-5));
  CHECK(near.share == 1);
  CHECK(far.kl == Approx(0.4 * std::log(5.0)).epsilon(1e-5));
  CHECK(far.share == 0);
}

TEST_CASE("Values beside the actions have no part in agreement", "[compress]") {
  CausalTransformer<float, ValueParts<float>> reference{{.width = 4, .layer_count = 1, .head_count = 1, .context = 24},
                                                        small_room_layout()};
  auto other = reference;
  other.head.bias(5) = 7;

  const Agreement found = measure_agreement(reference, other, small_rooms(), small_room_tasks(), {.episodes = 2});

  CHECK(found.kl == 0);
  CHECK(found.share == 1);
}

TEST_CASE("Agreement depends neither on threads nor on the size of groups", "[compress]") {
  const auto reference = small_room_model(1), model = small_room_model(2, 16);
  RollOutConfig config{.episodes = 4, .group_size = 2, .seed = 2, .thread_count = 1};
  const Agreement one = measure_agreement(reference, model, small_rooms(), small_room_tasks(), config);
  config.thread_count = 3;
  const Agreement same = measure_agreement(reference, model, small_rooms(), small_room_tasks(), config);
  config.group_size = 32;
  const Agreement close = measure_agreement(reference, model, small_rooms(), small_room_tasks(), config);

  CHECK(one.kl > 0);
  CHECK(one.share < 1);
  CHECK(one.kl == same.kl);
  CHECK(one.share == same.share);
  CHECK(one.kl == Approx(close.kl).epsilon(1e-12));  // sums of groups round otherwise
  CHECK(one.share == close.share);
  CHECK_THROWS_WITH(measure_agreement(reference, model, small_rooms(), {}), ContainsSubstring("there are no tasks"));
}
