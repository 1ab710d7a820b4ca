// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/magnitude_histogram.hpp>

#include <algorithm>
#include <limits>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::vector<float> normal_numbers(int count) {
  Rng rng{5};
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = static_cast<float>(rng.normal());
  return numbers;
}

}  // namespace

TEST_CASE("A percentile of magnitudes is that of the sorted numbers", "[compress]") {
  std::vector<float> numbers = normal_numbers(20000);
  MagnitudeHistogram histogram;
  histogram.add(numbers);

  for (float& number : numbers) number = std::abs(number);
  std::ranges::sort(numbers);
  CHECK(histogram.total() == 20000);
  CHECK(histogram.largest() == numbers.back());
  CHECK(histogram.percentile(1) == numbers.back());
  for (const double share : {0.1, 0.5, 0.9, 0.999}) {
    const float exact = numbers[static_cast<std::size_t>(share * 20000) - 1];
    CHECK(histogram.percentile(share) >= exact);
    CHECK(histogram.percentile(share) < exact + numbers.back() / 900);
  }
}

TEST_CASE("The order of the numbers does not matter to a histogram", "[compress]") {
  std::vector<float> numbers = normal_numbers(3000);
  numbers.push_back(-1000);
  numbers.push_back(0);
  MagnitudeHistogram forwards, backwards;
  for (const float number : numbers) forwards.add({&number, 1});
  std::ranges::reverse(numbers);
  for (const float number : numbers) backwards.add({&number, 1});
  for (const double share : {0.01, 0.3, 0.5, 0.9, 0.9999, 1.0})
    CHECK(forwards.percentile(share) == backwards.percentile(share));
  CHECK(forwards.entropy_range() == backwards.entropy_range());
}

TEST_CASE("The entropy range leaves out a lonely outlier and keeps even numbers whole", "[compress]") {
  std::vector<float> numbers = normal_numbers(50000);
  MagnitudeHistogram with_outlier, even;
  with_outlier.add(numbers);
  const float without = with_outlier.entropy_range();
  CHECK(without > 2.0f);
  numbers.assign(1, 40.0f);
  with_outlier.add(numbers);
  CHECK(with_outlier.largest() == 40.0f);
  CHECK(with_outlier.entropy_range() < 10.0f);
  CHECK(with_outlier.entropy_range() > 2.0f);

  for (int i = 1; i <= 4096; ++i) numbers.push_back(static_cast<float>(i) / 4096);
  numbers.erase(numbers.begin());
  even.add(numbers);
  CHECK(even.entropy_range() > 0.97f);
}

TEST_CASE("A histogram of nothing has no range, and what is not finite is refused", "[compress]") {
  MagnitudeHistogram histogram;
  CHECK(histogram.largest() == 0);
  CHECK(histogram.percentile(0.5) == 0);
  CHECK(histogram.entropy_range() == 0);
  const std::vector<float> zeros(3), bad{1, std::numeric_limits<float>::infinity()},
      extremes{std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()};
  histogram.add(zeros);
  CHECK(histogram.percentile(1) == 0);
  CHECK(has(error_of([&] { histogram.add(bad); }), "a number is inf"));
  CHECK(histogram.total() == 3);
  histogram.add(extremes);
  CHECK(histogram.percentile(1) == std::numeric_limits<float>::max());
}
