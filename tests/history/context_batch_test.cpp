// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/context_batch.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"

using namespace icrl;
using namespace icrl::test;

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

TEST_CASE("A batch of 64 windows of 80 pictures keeps a byte per pixel", "[history]") {
  ContextBatch batch;
  batch.resize(64, 80, {image_box(84, 84, 1), Discrete{4}});

  CHECK(batch.images.size() == 64 * 80 * 84 * 84);
  CHECK(batch.features.size() == 64 * 80 * 3);
  CHECK(batch.feature_count == 84 * 84 + 3);
  CHECK(batch.images_of(1).data() == batch.images.data() + 80 * 84 * 84);
}

TEST_CASE("Boxes of real numbers and ids stay in the rows of floats", "[history]") {
  for (const Space& space : {Space{Box{{0, 0}, {1, 1}, {2, 1}}}, Space{MultiDiscrete{{9, 9}}}}) {
    ContextBatch batch;
    batch.resize(2, 3, {space, Discrete{5}});
    std::ranges::fill(batch.features, 7.0f);
    std::vector<float> buffer;

    const auto rows = batch.rows_of(1, buffer);

    CHECK(batch.images.empty());
    CHECK(rows.data() == std::as_const(batch).features_of(1).data());
    CHECK(rows.size() == 3 * 5);
    CHECK(buffer.empty());
  }
}

TEST_CASE("A window of pictures is read as rows of floats", "[history]") {
  ContextBatch batch;
  const Box box{{0, 0}, {65535, 65535}, {}, ElementType::u16};
  batch.resize(2, 2, {box, Box{{0}, {1}}});
  batch.features = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // action, reward, flag
  Column column{box};
  for (const float number : {0.0f, 1.0f, 2.0f, 65535.0f})
    column.append(std::vector<float>{number, 100 * std::min(number, 600.0f)});
  std::copy_n(column.view().data, batch.images.size(), batch.images.begin());
  std::vector<float> buffer;

  CHECK(std::ranges::equal(batch.rows_of(1, buffer), std::vector<float>{2, 200, 7, 8, 9, 65535, 60000, 10, 11, 12}));
  const AllocationCount allocations;
  const auto rows = batch.rows_of(0, buffer);
  CHECK(allocations.count() == 0);
  CHECK(std::ranges::equal(rows, std::vector<float>{0, 0, 1, 2, 3, 1, 100, 4, 5, 6}));
}
