// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/one_hot.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::vector<float> written(const Space& space, const std::vector<float>& element) {
  const OneHot encoder{space, "test"};
  std::vector<float> out(encoder.size(), 7);
  encoder.write(element, out);
  return out;
}

}  // namespace

TEST_CASE("Ids are one-hot, component by component, and the numbers of a box stay as they are", "[learner]") {
  CHECK(written(Discrete{3}, {2}) == std::vector<float>{0, 0, 1});
  CHECK(written(MultiDiscrete{{2, 3}}, {1, 0}) == std::vector<float>{0, 1, 1, 0, 0});
  CHECK(written(Box{{-1, -1}, {1, 1}}, {0.5f, -0.25f}) == std::vector<float>{0.5f, -0.25f});
}

TEST_CASE("A space without elements has no one-hot numbers", "[learner]") {
  CHECK(has(error_of([] { const OneHot encoder{Discrete{0}, "A learner"}; }), "A learner: "));
}
