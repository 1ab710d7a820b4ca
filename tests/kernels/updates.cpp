// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/checksum.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/nn/rotary.hpp>

#include <cstddef>
#include <span>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
void check_adamw(KernelChecks& checks, std::size_t size, Guard guard) {
  const AdamWUpdate<S> update{.rate = S(0.01),
                              .beta1 = S(0.9),
                              .beta2 = S(0.99),
                              .epsilon = S(1e-8),
                              .decay = S(0.3),
                              .gradient_scale = S(0.25),
                              .mean_bias = S(0.19),
                              .deviation_bias = S(0.141)};
  GuardedArray<S> gradient{size, guard}, weights{size, guard}, mean{size, guard}, variance{size, guard};
  PlainNumbers numbers{size};
  for (auto* array : {&gradient, &weights, &mean, &variance}) numbers.fill(*array);
  for (S& value : variance) value = value * value + S(0.01);
  const std::vector<S> w{weights.begin(), weights.end()}, m{mean.begin(), mean.end()},
      v{variance.begin(), variance.end()};

  update.apply(std::span<const S>{gradient.data(), size}, {weights.data(), size}, {mean.data(), size},
               {variance.data(), size});

  const double tolerance = sizeof(S) == 4 ? 4e-7 : 1e-15;
  const auto number = [](S value) { return static_cast<double>(value); };
  for (std::size_t i = 0; i < size; ++i) {
    const double g = 0.25 * number(gradient[i]), new_m = 0.9 * number(m[i]) + (1 - 0.9) * g,
                 new_v = 0.99 * number(v[i]) + (1 - 0.99) * g * g;
    checks.close("a mean", number(mean[i]), new_m, tolerance);
    checks.close("a variance", number(variance[i]), new_v, tolerance);
    checks.close("a weight", number(weights[i]),
                 (1 - 0.01 * 0.3) * number(w[i]) - 0.01 * (new_m / 0.19) / (std::sqrt(new_v) / 0.141 + 1e-8),
                 tolerance);
  }
}

template <typename S>
void check_rotary(KernelChecks& checks, Index head_size, Guard guard) {
  constexpr Index heads = 2, positions = 7;
  const RotaryTable<S> table{positions, head_size};
  GuardedArray<S> row{static_cast<std::size_t>(heads * head_size), guard};
  PlainNumbers{static_cast<std::uint64_t>(head_size)}.fill(row);
  const std::vector<S> before{row.begin(), row.end()};
  const double tolerance = sizeof(S) == 4 ? 1e-6 : 1e-14;
  const auto at = [](const auto& numbers, Index i) {
    return static_cast<double>(numbers[static_cast<std::size_t>(i)]);
  };
  for (Index t = 0; t < positions; ++t) {
    table.rotate(row.data(), heads * head_size, t);
    for (Index h = 0; h < heads; ++h) {
      for (Index i = 0; i < head_size / 2; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
        const Index first = h * head_size + i, second = first + head_size / 2;
        const double a = at(before, first), b = at(before, second);
        checks.close("a turned number", at(row, first), a * std::cos(angle) - b * std::sin(angle), tolerance);
        checks.close("its partner", at(row, second), a * std::sin(angle) + b * std::cos(angle), tolerance);
      }
    }
    table.rotate_back(row.data(), heads * head_size, t);
    for (Index i = 0; i < heads * head_size; ++i)
      checks.close("a number turned back", at(row, i), at(before, i), 10 * tolerance);
  }
}

/// Bit by bit.
std::uint32_t plain_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc % 2 != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

}  // namespace

int main() {
  KernelChecks checks{"updates"};
  for (const Guard guard : {Guard::behind, Guard::before}) {
    for (std::size_t size = 1; size <= 130; ++size) {
      checks.at("%zu numbers", size);
      check_adamw<float>(checks, size, guard);
      check_adamw<double>(checks, size, guard);
      GuardedArray<std::byte> bytes{size, guard};
      for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * i + size);
      const std::span<const std::byte> all{bytes.data(), size};
      checks.equal("a checksum", crc32c(all), plain_crc32c(all));
      checks.equal("a checksum in two parts", crc32c(all.subspan(size / 3), crc32c(all.first(size / 3))),
                   plain_crc32c(all));
    }
    for (Index size = 2; size <= 130; size += 2) {
      checks.at("heads of %ld numbers", static_cast<long>(size));
      check_rotary<float>(checks, size, guard);
      check_rotary<double>(checks, size, guard);
    }
  }
  return checks.finish();
}
