// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/int8_kernels.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/guard_pages.hpp"
#include "support/plain_int8_products.hpp"

using namespace icrl;
using namespace icrl::detail;
using icrl::test::GuardedArray;

namespace {

std::size_t size_of(Index count) { return static_cast<std::size_t>(count); }

Index random_size(Rng& rng, int most = 130) { return 1 + static_cast<Index>(rng.below(most)); }

void fill_codes(auto& array, int flip, Rng& rng) {
  for (auto& code : array) {
    const int value = rng.below(255) - 127;
    code = static_cast<std::remove_reference_t<decltype(code)>>(value ^ flip);
  }
}

void fill_floats(auto& array, double stddev, Rng& rng) {
  for (float& number : array) number = static_cast<float>(stddev * rng.normal());
}

template <typename Array>
bool have_equal_bytes(const Array& a, const Array& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(*a.data())) == 0;
}

/// A map of random codes in guarded memory.
struct RandomMap {
  GuardedArray<std::int8_t> panels;
  GuardedArray<std::int32_t> offsets;
  GuardedArray<float> scales, bias;
  Int8MapView view;

  /// A block of 16 outputs by 4 inputs has codes with a probability of `density`.
  RandomMap(Index in, Index out, Rng& rng, double density = 1)
      : panels{size_of(whole_blocks(out) * whole_words(in))},
        offsets{size_of(whole_blocks(out))},
        scales{size_of(whole_blocks(out))},
        bias{size_of(whole_blocks(out))},
        view{panels.data(), offsets.data(), scales.data(), bias.data(), whole_words(in) / 4, out} {
    std::vector<bool> is_kept(panels.size() / 64);
    for (std::size_t block = 0; block < is_kept.size(); ++block) is_kept[block] = rng.uniform() < density;
    for (Index o = 0; o < out; ++o) {
      int sum = 0;
      for (Index i = 0; i < in; ++i) {
        const int code = is_kept[size_of(o / 16 * view.words + i / 4)] ? rng.below(255) - 127 : 0;
        panels[size_of(o / 16 * view.words * 64 + i / 4 * 64 + o % 16 * 4 + i % 4)] = static_cast<std::int8_t>(code);
        sum += code;
      }
      offsets[size_of(o)] = 128 * sum;
      scales[size_of(o)] = static_cast<float>(rng.uniform()) * 0.01f;
      bias[size_of(o)] = static_cast<float>(rng.normal());
    }
  }
};

/// The same map without the words whose codes are all zero, in guarded memory.
struct SparseMap {
  std::vector<std::int32_t> starts{0};
  std::vector<std::uint16_t> numbers;
  std::vector<std::int8_t> codes;
  GuardedArray<std::int8_t> panels;
  GuardedArray<std::int32_t> begins;
  GuardedArray<std::uint16_t> kept;
  Int8MapView view;

  explicit SparseMap(const Int8MapView& dense)
      : panels{collect(dense)}, begins{starts.size()}, kept{numbers.size()}, view{dense} {
    std::copy(codes.begin(), codes.end(), panels.begin());
    std::copy(starts.begin(), starts.end(), begins.begin());
    std::copy(numbers.begin(), numbers.end(), kept.begin());
    view.panels = panels.data();
    view.begins = begins.data();
    view.kept = kept.data();
  }

private:
  std::size_t collect(const Int8MapView& dense) {
    for (Index p = 0; p < whole_blocks(dense.outputs) / 16; ++p) {
      for (Index w = 0; w < dense.words; ++w) {
        const std::int8_t* const word = dense.panels + (p * dense.words + w) * 64;
        if (std::all_of(word, word + 64, [](std::int8_t code) { return code == 0; })) continue;
        codes.insert(codes.end(), word, word + 64);
        numbers.push_back(static_cast<std::uint16_t>(w));
      }
      starts.push_back(static_cast<std::int32_t>(numbers.size()));
    }
    return codes.size();
  }
};

/// One head's random past of `count` tokens in guarded memory. What lies behind the last token is any codes, and scales
/// that are NaN.
struct RandomHead {
  GuardedArray<std::uint8_t> keys;
  GuardedArray<std::int8_t> values;
  GuardedArray<float> key_scales, value_scales;
  Int8Head view;

  RandomHead(Index size, Index count, Rng& rng)
      : keys{size_of(whole_blocks(count) * whole_words(size))},
        values{size_of(whole_words(count) * whole_blocks(size))},
        key_scales{size_of(whole_blocks(count))},
        value_scales{size_of(whole_blocks(count))},
        view{keys.data(), key_scales.data(), values.data(), value_scales.data(), size} {
    fill_codes(keys, 128, rng);
    fill_codes(values, 0, rng);
    for (Index t = 0; t < whole_blocks(count); ++t) {
      const bool is_token = t < count;
      for (float* scale : {&key_scales[size_of(t)], &value_scales[size_of(t)]})
        *scale = is_token ? static_cast<float>(rng.uniform()) * 0.02f : std::numeric_limits<float>::quiet_NaN();
    }
  }
};

/// The result of a kernel at every level that this CPU has, the scalar one's first, and of the loops for registers of
/// 128 bits, which other targets have as levels.
template <typename Result, typename Call>
std::vector<Result> at_all_levels(Call&& call) {
  std::vector<Result> results;
  for (const CpuLevel level : available_cpu_levels())
    with_int8_kernels(level, [&](auto kernels) { results.push_back(call(kernels)); });
  results.push_back(call(Simd128Int8<icrl::test::PlainInt8Products>{}));
  return results;
}

template <typename Result>
bool are_equal(const std::vector<Result>& results) {
  for (const Result& result : results)
    if (!have_equal_bytes(result, results.front())) return false;
  return true;
}

}  // namespace

TEST_CASE("Rows are quantized to the nearest code, with one scale", "[math]") {
  const float x[] = {0.5f, -1.27f, 0.0f, 0.015f, 1.0f};
  std::uint8_t codes[5];

  const float scale = ScalarInt8::quantize(x, 5, 0, codes);

  CHECK(std::abs(scale - 0.01f) < 1e-8f);
  CHECK(static_cast<std::int8_t>(codes[0]) == 50);
  CHECK(static_cast<std::int8_t>(codes[1]) == -127);
  CHECK(codes[2] == 0);
  CHECK((codes[3] == 1 || codes[3] == 2));
  CHECK(codes[4] == 100);
}

TEST_CASE("Quantized rows have equal bytes at all levels", "[math]") {
  Rng rng{1};
  for (int round = 0; round < 300; ++round) {
    const Index size = random_size(rng);
    GuardedArray<float> x{size_of(size)};
    fill_floats(x, std::pow(10.0, rng.uniform() * 80 - 45), rng);
    if (round % 20 == 1) x[0] = std::numeric_limits<float>::infinity();
    if (round % 20 == 2) x[size_of(size) - 1] = std::numeric_limits<float>::quiet_NaN();
    if (round % 20 == 3) fill_floats(x, 0, rng);
    const std::uint8_t flip = round % 2 == 0 ? 128 : 0;
    std::vector<std::uint32_t> scales;

    const auto results = at_all_levels<std::vector<std::uint8_t>>([&](auto kernels) {
      GuardedArray<std::uint8_t> codes{size_of(size)};
      const float scale = kernels.quantize(x.data(), size, flip, codes.data());
      scales.push_back(std::isnan(scale) ? 0x7fc00000u : bits_of(scale));
      return std::vector<std::uint8_t>(codes.begin(), codes.end());
    });

    CHECK(are_equal(results));
    for (const std::uint32_t scale : scales) CHECK(scale == scales.front());
    for (const std::uint8_t code : results.front()) CHECK(static_cast<std::int8_t>(code ^ flip) != -128);
    if (round % 20 == 1 || round % 20 == 2) CHECK(std::isnan(float_of(scales.front())));
  }
}

TEST_CASE("Heads are quantized like rows of their own at all levels", "[math]") {
  Rng rng{9};
  for (int round = 0; round < 200; ++round) {
    const Index size = random_size(rng, 40), heads = random_size(rng, 40), words = whole_words(size);
    GuardedArray<float> x{size_of(size * heads)};
    fill_floats(x, std::pow(10.0, rng.uniform() * 80 - 45), rng);
    x[size_of(rng.below(static_cast<int>(x.size())))] = std::numeric_limits<float>::infinity();
    std::fill_n(x.data(), size, 0.0f);
    std::vector<std::uint8_t> expected(size_of(heads * words));
    std::vector<float> expected_scales(size_of(heads));
    for (Index h = 0; h < heads; ++h)
      expected_scales[size_of(h)] = ScalarInt8::quantize(x.data() + h * size, size, 0, expected.data() + h * words);

    for (const auto& codes : at_all_levels<std::vector<std::uint8_t>>([&](auto kernels) {
           GuardedArray<std::uint8_t> found{size_of(heads * words)};
           GuardedArray<float> scales{size_of(heads)};
           kernels.quantize_heads(x.data(), heads, size, found.data(), scales.data());
           for (std::size_t h = 0; h < scales.size(); ++h)
             CHECK((scales[h] == expected_scales[h] || (std::isnan(scales[h]) && std::isnan(expected_scales[h]))));
           return std::vector<std::uint8_t>(found.begin(), found.end());
         }))
      CHECK(codes == expected);
  }
}

TEST_CASE("A value is put at its place, and what lies behind it becomes zero, at all levels", "[math]") {
  Rng rng{10};
  for (int round = 0; round < 100; ++round) {
    const Index size = random_size(rng, 40), place = rng.below(4);
    GuardedArray<std::int8_t> codes{size_of(size)};
    std::vector<std::int8_t> before(size_of(4 * size));
    fill_codes(codes, 0, rng);
    fill_codes(before, 0, rng);

    for (const auto& words : at_all_levels<std::vector<std::int8_t>>([&](auto kernels) {
           GuardedArray<std::int8_t> words_of_level{before.size()};
           std::copy(before.begin(), before.end(), words_of_level.begin());
           kernels.put_value(codes.data(), size, place, words_of_level.data());
           return std::vector<std::int8_t>(words_of_level.begin(), words_of_level.end());
         })) {
      for (Index i = 0; i < 4 * size; ++i) {
        const int expected = i % 4 < place ? before[size_of(i)] : i % 4 > place ? 0 : codes[size_of(i / 4)];
        CHECK(words[size_of(i)] == expected);
      }
    }
  }
}

TEST_CASE("Normalized rows have equal bytes at all levels", "[math]") {
  Rng rng{2};
  for (int round = 0; round < 300; ++round) {
    const Index size = random_size(rng);
    GuardedArray<float> x{size_of(size)}, gain{size_of(size)}, bias{size_of(size)};
    for (GuardedArray<float>* array : {&x, &gain, &bias}) fill_floats(*array, 2, rng);

    const auto results = at_all_levels<std::vector<float>>([&](auto kernels) {
      GuardedArray<float> y{size_of(size)};
      kernels.normalize(x.data(), gain.data(), bias.data(), size, 1e-5f, y.data());
      return std::vector<float>(y.begin(), y.end());
    });

    CHECK(are_equal(results));
    double mean = 0, square = 0;
    for (const float number : x) mean += static_cast<double>(number) / static_cast<double>(size);
    for (const float number : x) square += std::pow(static_cast<double>(number) - mean, 2) / static_cast<double>(size);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected =
          (static_cast<double>(x[i]) - mean) / std::sqrt(square + 1e-5) * static_cast<double>(gain[i]) +
          static_cast<double>(bias[i]);
      CHECK(std::abs(static_cast<double>(results.front()[i]) - expected) < 2e-5);
    }
  }
}

TEST_CASE("The GELU of rows has equal bytes at all levels", "[math]") {
  Rng rng{3};
  for (int round = 0; round < 200; ++round) {
    const Index size = random_size(rng);
    GuardedArray<float> x{size_of(size)};
    fill_floats(x, std::pow(10.0, rng.uniform() * 10 - 5), rng);

    CHECK(are_equal(at_all_levels<std::vector<float>>([&](auto kernels) {
      GuardedArray<float> y{size_of(size)};
      std::copy(x.begin(), x.end(), y.begin());
      kernels.gelu(y.data(), size);
      return std::vector<float>(y.begin(), y.end());
    })));
  }
}

TEST_CASE("Rows of codes are added with equal bytes at all levels", "[math]") {
  Rng rng{4};
  for (int round = 0; round < 200; ++round) {
    const Index size = random_size(rng);
    GuardedArray<float> start{size_of(size)};
    GuardedArray<std::int8_t> codes{size_of(size)};
    fill_floats(start, 1, rng);
    fill_codes(codes, 0, rng);
    const auto factor = static_cast<float>(rng.normal());

    const auto results = at_all_levels<std::vector<float>>([&](auto kernels) {
      GuardedArray<float> out{size_of(size)};
      std::copy(start.begin(), start.end(), out.begin());
      kernels.add_codes(codes.data(), size, factor, out.data());
      return std::vector<float>(out.begin(), out.end());
    });

    CHECK(are_equal(results));
    CHECK(std::abs(results.front()[0] - (start[0] + factor * static_cast<float>(codes[0]))) < 1e-4f);
  }
}

TEST_CASE("Maps have equal bytes at all levels, whatever rows stand side by side", "[math]") {
  Rng rng{5};
  for (int round = 0; round < 200; ++round) {
    const Index in = random_size(rng), out = random_size(rng), rows = random_size(rng, 9), words = whole_words(in);
    const RandomMap map{in, out, rng};
    GuardedArray<std::uint8_t> codes{size_of(rows * words)};
    GuardedArray<float> scales{size_of(rows)};
    fill_codes(codes, 128, rng);
    fill_floats(scales, 0.1, rng);
    const bool adds = round % 2 == 0;

    const auto results = at_all_levels<std::vector<float>>([&](auto kernels) {
      GuardedArray<float> y{size_of(rows * out)};
      for (float& number : y) number = 0.25f;
      kernels.multiply(map.view, {codes.data(), words, scales.data(), rows}, adds, y.data(), out);
      return std::vector<float>(y.begin(), y.end());
    });

    CHECK(are_equal(results));
    for (Index r = 0; r < rows; ++r) {
      GuardedArray<float> alone{size_of(out)};
      for (float& number : alone) number = 0.25f;
      with_int8_kernels(best_cpu_level(), [&](auto kernels) {
        kernels.multiply(map.view, {codes.data() + r * words, words, scales.data() + r, 1}, adds, alone.data(), out);
      });
      CHECK(std::memcmp(alone.data(), results.front().data() + r * out, alone.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("Sparse maps have the bytes of the dense map at all levels", "[math]") {
  Rng rng{12};
  for (int round = 0; round < 300; ++round) {
    const Index in = random_size(rng), out = random_size(rng), rows = 1 + round % 9, words = whole_words(in);
    const double densities[] = {0, 0.1, 0.25, 0.5, 0.9, 1};
    const RandomMap map{in, out, rng, densities[round % 6]};
    const SparseMap sparse{map.view};
    GuardedArray<std::uint8_t> codes{size_of(rows * words)};
    GuardedArray<float> scales{size_of(rows)};
    fill_codes(codes, 128, rng);
    fill_floats(scales, 0.1, rng);
    const bool adds = rng.below(2) == 0;
    const auto multiply = [&](auto kernels, const Int8MapView& view) {
      GuardedArray<float> y{size_of(rows * out)};
      for (float& number : y) number = 0.25f;
      kernels.multiply(view, {codes.data(), words, scales.data(), rows}, adds, y.data(), out);
      return std::vector<float>(y.begin(), y.end());
    };

    auto results = at_all_levels<std::vector<float>>([&](auto kernels) { return multiply(kernels, sparse.view); });

    results.push_back(multiply(ScalarInt8{}, map.view));
    CHECK(are_equal(results));
  }
}

TEST_CASE("A panel without words gives its bias, beside panels that have some", "[math]") {
  Rng rng{13};
  RandomMap map{130, 40, rng};
  std::fill_n(map.panels.data() + 33 * 64, 33 * 64, std::int8_t{0});
  std::fill_n(map.offsets.data() + 16, 16, 0);
  const SparseMap sparse{map.view};
  GuardedArray<std::uint8_t> codes{132};
  fill_codes(codes, 128, rng);
  const float scale = 0.5f;

  const auto results = at_all_levels<std::vector<float>>([&](auto kernels) {
    GuardedArray<float> y{40};
    kernels.multiply(sparse.view, {codes.data(), 132, &scale, 1}, false, y.data(), 40);
    return std::vector<float>(y.begin(), y.end());
  });

  CHECK(sparse.begins[1] == sparse.begins[2]);
  CHECK(are_equal(results));
  for (std::size_t o = 0; o < 40; ++o) CHECK((results[0][o] == map.bias[o]) == (o >= 16 && o < 32));
}

TEST_CASE("A map is the sum of products of codes, scaled", "[math]") {
  Rng rng{6};
  const RandomMap map{5, 18, rng};
  GuardedArray<std::uint8_t> codes{8};
  fill_codes(codes, 128, rng);
  const float scale = 0.5f;
  GuardedArray<float> y{18};

  ScalarInt8::multiply(map.view, {codes.data(), 8, &scale, 1}, false, y.data(), 18);

  for (Index o = 0; o < 18; ++o) {
    int sum = 0;
    for (Index i = 0; i < 5; ++i)
      sum += (codes[size_of(i)] - 128) * map.panels[size_of(o / 16 * 128 + i / 4 * 64 + o % 16 * 4 + i % 4)];
    CHECK(y[size_of(o)] == Approx(static_cast<float>(sum) * 0.5f * map.scales[size_of(o)] + map.bias[size_of(o)]));
  }
}

TEST_CASE("Attention has equal bytes at all levels and is a softmax", "[math]") {
  Rng rng{7};
  for (int round = 0; round < 200; ++round) {
    const Index size = random_size(rng, round % 3 == 0 ? 130 : 33),
                count = random_size(rng, round % 10 == 0 ? 1200 : 130);
    const RandomHead head{size, count, rng};
    GuardedArray<std::int8_t> query{size_of(whole_words(size))};
    for (Index i = 0; i < size; ++i) query[size_of(i)] = static_cast<std::int8_t>(rng.below(255) - 127);
    const auto factor = static_cast<float>(rng.uniform() * 0.05);

    const auto results = at_all_levels<std::vector<float>>([&](auto kernels) {
      GuardedArray<float> mixed{size_of(size)}, scores{size_of(whole_blocks(count))};
      GuardedArray<std::uint8_t> weights{2 * size_of(whole_blocks(count))};
      kernels.attend(head.view, query.data(), factor, count, {scores.data(), weights.data()}, mixed.data());
      return std::vector<float>(mixed.begin(), mixed.end());
    });

    CHECK(are_equal(results));
    std::vector<double> scores;
    double largest = -1e300, total = 0, error = 0;
    for (Index t = 0; t < count; ++t) {
      int score = 0;
      for (Index i = 0; i < size; ++i)
        score += (head.keys[size_of(t / 16 * whole_words(size) * 16 + i / 4 * 64 + t % 16 * 4 + i % 4)] - 128) *
                 query[size_of(i)];
      scores.push_back(score * static_cast<double>(head.key_scales[size_of(t)]) * static_cast<double>(factor));
      largest = std::max(largest, scores.back());
    }
    for (const double score : scores) total += std::exp2(score - largest);
    for (Index c = 0; c < size; ++c) {
      double expected = 0;
      for (Index t = 0; t < count; ++t)
        expected += std::exp2(scores[size_of(t)] - largest) / total *
                    static_cast<double>(head.value_scales[size_of(t)]) *
                    head.values[size_of(t / 4 * 4 * whole_blocks(size) + 4 * c + t % 4)];
      const double found = std::abs(expected - static_cast<double>(results.front()[size_of(c)]));
      if (!(found <= error) && !std::isnan(error)) error = found;  // NaN is the largest
    }
    CHECK(error < 1e-3);
  }
}

TEST_CASE("Attention over many equal tokens keeps its sums in 32 bits at all levels", "[math]") {
  Rng rng{11};
  for (const Index count : {449, 700, 1201}) {
    RandomHead head{20, count, rng};
    std::fill(head.values.begin(), head.values.end(), std::int8_t{127});
    std::fill_n(head.value_scales.data(), count, 0.5f);
    const std::vector<std::int8_t> query(20, 1);
    for (const auto& mixed : at_all_levels<std::vector<float>>([&](auto kernels) {
           std::vector<float> result(20), scores(size_of(whole_blocks(count)));
           std::vector<std::uint8_t> weights(2 * scores.size());
           kernels.attend(head.view, query.data(), 0.0f, count, {scores.data(), weights.data()}, result.data());
           return result;
         }))
      for (const float number : mixed) CHECK(std::abs(number - 63.5f) < 0.01f);
  }
}

TEST_CASE("Attention with a key that is not finite is not finite at any level", "[math]") {
  Rng rng{8};
  for (const Index count : {1, 17, 40}) {
    RandomHead head{8, count, rng};
    head.key_scales[size_of(count) / 2] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<std::int8_t> query(8, 1);
    for (const auto& mixed : at_all_levels<std::vector<float>>([&](auto kernels) {
           std::vector<float> result(8), scores(size_of(whole_blocks(count)));
           std::vector<std::uint8_t> weights(2 * scores.size());
           kernels.attend(head.view, query.data(), 0.1f, count, {scores.data(), weights.data()}, result.data());
           return result;
         }))
      for (const float number : mixed) CHECK_FALSE(std::isfinite(number));
  }
}
