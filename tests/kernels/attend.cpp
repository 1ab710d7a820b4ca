// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/stream_attention.hpp>

#include <cstddef>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Out of line, with the number of heads known: what a compiler makes of a loop depends on what it is inlined into.
[[gnu::noinline]] void attend_by_four(const float* query, const StreamKeyValues<float>& past, Index count,
                                      Matrix<float>& scores, float* mixed) {
  attend<float>(query, 4, past, count, scores, mixed);
}

/// As many rows of scores as heads must do, and the one below them stays as it was.
void check_scratch(KernelChecks& checks) {
  constexpr Index width = 64, most = 80;
  std::vector<float> keys(width * padded<float>(most)), values(width * most), query(width), mixed(width);
  PlainNumbers numbers{1};
  for (auto* array : {&keys, &values, &query}) numbers.fill(*array);
  for (Index count = 1; count <= most; ++count) {
    checks.at("scratch memory of %ld tokens", static_cast<long>(count));
    Matrix<float> scores = Matrix<float>::Constant(5, padded<float>(count), -777.0f);
    attend_by_four(query.data(), {keys.data(), values.data(), width}, count, scores, mixed.data());
    checks.is_true("the row below the last head's is as before", (scores.row(4).array() == -777.0f).all());
  }
}

template <typename S>
void check(KernelChecks& checks, Index heads, Index size, Index count, Guard guard) {
  checks.at("%zu bytes, %ld heads of %ld numbers, %ld tokens", sizeof(S), static_cast<long>(heads),
            static_cast<long>(size), static_cast<long>(count));
  const Index width = heads * size;
  const auto length = [](Index n) { return static_cast<std::size_t>(n); };
  GuardedArray<S> query{length(width), guard}, keys{length(width * padded<S>(count)), guard},
      values{length(width * count), guard}, mixed{length(width), guard}, key{length(width), guard};
  const StreamKeyValues<S> past{keys.data(), values.data(), width};
  for (S& number : keys) number = S(1e30);  // what lies beyond the last token must not count
  PlainNumbers numbers{static_cast<std::uint64_t>(width + count)};
  std::vector<double> plain_keys(length(width * count));
  for (Index t = 0; t < count; ++t) {
    numbers.fill(key);
    for (Index c = 0; c < width; ++c) plain_keys[length(t * width + c)] = static_cast<double>(key[length(c)]);
    past.prefetch(t);
    numbers.fill(query);
    past.put(t, key.data(), query.data());
  }
  numbers.fill(query);
  Matrix<S> scores(heads, padded<S>(count));

  attend<S>(query.data(), opaque(heads), past, opaque(count), scores, mixed.data());

  std::vector<double> weights(length(count));
  for (Index h = 0; h < heads; ++h) {
    double total = 0;
    for (Index t = 0; t < count; ++t) {
      double score = 0;
      for (Index c = h * size; c < (h + 1) * size; ++c)
        score += static_cast<double>(query[length(c)]) * plain_keys[length(t * width + c)];
      weights[length(t)] = std::exp(score / std::sqrt(static_cast<double>(size)));
      total += weights[length(t)];
    }
    for (Index c = h * size; c < (h + 1) * size; ++c) {
      double expected = 0;
      for (Index t = 0; t < count; ++t)
        expected += weights[length(t)] / total * static_cast<double>(values[length(t * width + c)]);
      checks.close("an output", static_cast<double>(mixed[length(c)]), expected, sizeof(S) == 4 ? 2e-6 : 1e-13);
    }
  }
}

template <typename S>
void check_all(KernelChecks& checks) {
  for (const Guard guard : {Guard::behind, Guard::before}) {
    for (Index count = 1; count <= 130; ++count) check<S>(checks, 2, 16, count, guard);
    for (Index size = 1; size <= 130; ++size) check<S>(checks, 2, size, 35, guard);
    for (Index heads = 1; heads <= 130; heads += heads < 20 ? 1 : 10) check<S>(checks, heads, 8, 17, guard);
    // More columns than one tile takes, around its width.
    for (const Index size : {248, 256, 264, 384}) check<S>(checks, 1, size, 65, guard);
  }
}

}  // namespace

int main() {
  KernelChecks checks{"attend"};
  check_scratch(checks);
  check_all<float>(checks);
  check_all<double>(checks);
  return checks.finish();
}
