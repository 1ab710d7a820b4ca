// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/rng.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// Pearson's statistic of counts that should be equal; about bins - 1, with deviation sqrt(2 * (bins - 1)).
double chi_square(const std::vector<int>& counts) {
  double total = 0, sum = 0;
  for (const int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

/// Within five deviations of what chance gives: neither too uneven nor too even.
bool is_even(const std::vector<int>& counts) {
  const double freedom = static_cast<double>(counts.size()) - 1;
  return std::abs(chi_square(counts) - freedom) < 5 * std::sqrt(2 * freedom);
}

template <typename Draw>
std::vector<int> histogram(std::size_t bins, int draws, Draw&& draw) {
  std::vector<int> counts(bins);
  for (int i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(draw(i))];
  return counts;
}

int bin_of(double uniform, int bins) { return static_cast<int>(uniform * bins); }

}  // namespace

TEST_CASE("Random numbers are these, on every platform and in every version", "[core]") {
  Rng zero{0};
  CHECK(zero.bits() == 0x1cd364143cce4aae);
  CHECK(zero.bits() == 0x74152ffafb44a602);
  CHECK(zero.bits() == 0x12f768f77aafc9ed);

  Rng stream{42, 7};
  CHECK(stream.bits() == 0xb272e4dfb0f99199);
  CHECK(Rng{42}.fork(3).bits() == 0x748187967e1d79a9);

  Rng uniform{1};
  CHECK(uniform.uniform() == 0x1.716c9226cc6fap-2);
  CHECK(uniform.uniform() == 0x1.cd87a4256662fp-1);

  Rng below{1};
  for (const int expected : {3, 9, 1, 0, 5, 4, 3, 8, 9, 3, 4, 5}) CHECK(below.below(10) == expected);

  Rng normal{1};
  CHECK(normal.normal() == Approx(0.7703021867518851).epsilon(1e-14));
  CHECK(normal.normal() == Approx(0.5647251556876774).epsilon(1e-14));
}

TEST_CASE("Draws that would make small numbers likelier are rejected", "[core]") {
  Rng rng{5};
  const int count = 3 << 29;  // a quarter of the raw draws is rejected

  for (const int expected :
       {1597467469, 1379496478, 1516401781, 388636065, 1080161817, 1416659959, 1524458359, 462010098})
    CHECK(rng.below(count) == expected);
  CHECK(rng.state().counter == 11);

  CHECK(is_even(histogram(3, 30000, [&](int) { return rng.below(count) >> 29; })));
}

TEST_CASE("A generator restored from its state goes on as it would have", "[core]") {
  Rng rng{3, 4};
  for (int i = 0; i < 10; ++i) rng.normal();

  Rng restored = Rng::from_state(rng.state());

  CHECK(restored.state() == rng.state());
  for (int i = 0; i < 10; ++i) CHECK(restored.bits() == rng.bits());
}

TEST_CASE("A fork depends on seed and stream, not on how far its parent has come", "[core]") {
  Rng parent{9};
  const auto early = parent.fork(2).bits();
  parent.normal();

  CHECK(parent.fork(2).bits() == early);
  CHECK(parent.fork(3).bits() != early);
  CHECK(Rng{10}.fork(2).bits() != early);
  CHECK(parent.fork(2).fork(0).bits() != early);
}

TEST_CASE("Uniform numbers are uniform in [0, 1)", "[core]") {
  Rng rng{1};
  double sum = 0, squares = 0, products = 0, previous = 0.5, least = 1, most = 0;
  const int n = 1'000'000;
  const auto counts = histogram(256, n, [&](int) {
    const double u = rng.uniform();
    sum += u;
    squares += u * u;
    products += (u - 0.5) * (previous - 0.5);
    previous = u;
    least = std::min(least, u);
    most = std::max(most, u);
    return bin_of(u, 256);
  });

  CHECK(is_even(counts));
  CHECK(std::abs(sum / n - 0.5) < 0.0015);
  CHECK(std::abs(squares / n - 1.0 / 3) < 0.0015);
  CHECK(std::abs(products / n) < 5.0 / 12 / std::sqrt(n));  // neighbors know nothing of each other
  CHECK((least >= 0 && least < 1e-4 && most < 1 && most > 1 - 1e-4));
}

TEST_CASE("Each of the 64 bits is set half of the time", "[core]") {
  Rng rng{2};
  std::array<int, 64> set{};
  const int n = 100'000;
  for (int i = 0; i < n; ++i) {
    const auto bits = rng.bits();
    for (std::size_t b = 0; b < 64; ++b) set[b] += static_cast<int>(bits >> b & 1);
  }

  for (const int count : set) CHECK(std::abs(count - n / 2) < 5 * std::sqrt(n) / 2);
}

TEST_CASE("Whole numbers below a count are equally likely", "[core]") {
  Rng rng{3};
  for (const int count : {2, 3, 5, 7, 81, 1000})
    CHECK(is_even(histogram(static_cast<std::size_t>(count), 200'000, [&](int) { return rng.below(count); })));

  CHECK(rng.below(1) == 0);
  for (int i = 0; i < 100; ++i) {
    const int number = rng.below(std::numeric_limits<int>::max());
    CHECK((number >= 0 && number < std::numeric_limits<int>::max()));
  }
}

TEST_CASE("Normal numbers have the moments and tails of the normal distribution", "[core]") {
  Rng rng{4};
  const int n = 1'000'000;
  std::array<double, 5> moments{};
  int beyond_two = 0;
  for (int i = 0; i < n; ++i) {
    const double z = rng.normal();
    double power = 1;
    for (double& moment : moments) {
      moment += power / n;
      power *= z;
    }
    beyond_two += std::abs(z) > 2;
  }

  CHECK(std::abs(moments[1]) < 0.005);
  CHECK(std::abs(moments[2] - 1) < 0.01);
  CHECK(std::abs(moments[3]) < 0.02);
  CHECK(std::abs(moments[4] - 3) < 0.06);
  CHECK(std::abs(beyond_two / static_cast<double>(n) - 0.0455) < 0.0012);
}

TEST_CASE("chance is true with its probability", "[core]") {
  Rng rng{5};
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) hits += rng.chance(0.3);

  CHECK(std::abs(hits - 30'000) < 750);
  CHECK_FALSE(rng.chance(0));
  CHECK(rng.chance(1));
}

TEST_CASE("Neighboring seeds, streams and forks are as good as strangers", "[core]") {
  const Rng parent{6};
  const auto first_of = [&](int way, int i) {
    const auto number = static_cast<std::uint64_t>(i);
    return (way == 0 ? Rng{number} : way == 1 ? Rng{1, number} : parent.fork(number)).uniform();
  };
  const int n = 200'000;
  for (int way = 0; way < 3; ++way) {
    CHECK(is_even(histogram(64, n, [&](int i) { return bin_of(first_of(way, i), 64); })));
    // Pairs of neighbors fill the square evenly.
    CHECK(is_even(histogram(
        256, n, [&](int i) { return 16 * bin_of(first_of(way, i), 16) + bin_of(first_of(way, i + 1), 16); })));
  }
}
