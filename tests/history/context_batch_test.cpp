// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/context_batch.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A batch has room for B sequences of T rows", "[history]") {
  ContextBatch batch;
  batch.resize(3, 4, {MultiDiscrete{{9, 9}}, Box{{0, 0}, {1, 1}}});

  CHECK(batch.features.size() == 3 * 4 * (2 + 2 + 2));
  CHECK(batch.actions.size() == 3 * 4 * 2);
  CHECK(batch.weights.size() == 3 * 4);
  CHECK(batch.lengths.size() == 3);
}

TEST_CASE("The parts of a batch lie side by side", "[history]") {
  ContextBatch batch;
  batch.resize(3, 4, {Discrete{9}, Discrete{5}});

  CHECK(batch.features_of(2).data() == batch.features.data() + 2 * 4 * 4);
  CHECK(batch.features_of(2).size() == 4 * 4);
  CHECK(batch.actions_of(1).data() == batch.actions.data() + 4);
  CHECK(batch.weights_of(0).size() == 4);
}
