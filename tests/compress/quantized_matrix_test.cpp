// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/quantized_matrix.hpp>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using icrl::test::error_of;

namespace {

/// Three inputs in groups of two, two outputs.
QuantizedMatrix small_quantized() {
  return {.in = 3,
          .out = 2,
          .bits = 4,
          .group = 2,
          .codes = {1, -8, 7, 0, -3, 5},
          .group_scales = {15, 2, 1, 3},
          .scales = {0.5f, 0.25f}};
}

}  // namespace

TEST_CASE("A quantized weight is code times group scale times scale", "[compress]") {
  const QuantizedMatrix matrix = small_quantized();

  validate(matrix, "map");
  CHECK(matrix.group_count() == 2);
  CHECK(matrix.value(0, 0) == 15);
  CHECK(matrix.value(0, 1) == -16);
  CHECK(matrix.value(1, 0) == 105);
  CHECK(matrix.value(2, 0) == -3);  // the last group has one input
  CHECK(matrix.value(2, 1) == 15);
  CHECK(dequantized(matrix) == Matrix<float>{{7.5f, -4.0f}, {52.5f, 0.0f}, {-1.5f, 3.75f}});
}

TEST_CASE("Weights of 8 bits have no groups", "[compress]") {
  const QuantizedMatrix matrix{.in = 1, .out = 2, .codes = {-127, 127}, .group_scales = {}, .scales = {1, 0}};

  validate(matrix, "map");
  CHECK(matrix.group_count() == 1);
  CHECK(dequantized(matrix) == Matrix<float>{{-127.0f, 0.0f}});
}

TEST_CASE("All codes times all group scales are int8", "[compress]") {
  for (const int bits : {8, 4, 3, 2}) {
    const CodeRange range = code_range(bits);
    CHECK(std::abs(range.min) * range.max_group_scale <= 127);
    CHECK(range.max * range.max_group_scale <= 127);
    CHECK(range.min < 0);
    CHECK(range.code_at((1 << bits) - 1) >= range.max);
    for (int code = range.min; code <= range.max; code += range.step) {
      CHECK(range.has(code));
      CHECK(range.code_at(range.index_of(code)) == code);
    }
  }
  CHECK(error_of([] { (void)code_range(5); }) == "quantized weights: bits is 5, it must be 8, 4, 3 or 2");
}

TEST_CASE("A quantized matrix that makes no map is refused", "[compress]") {
  const auto error_with = [](auto spoil) {
    QuantizedMatrix matrix = small_quantized();
    spoil(matrix);
    return error_of([&] { validate(matrix, "map"); });
  };

  CHECK(error_with([](auto& m) { m.in = 0; }) == "map: has 0 inputs and 2 outputs, both must be positive");
  CHECK(error_with([](auto& m) { m.group = -1; }) == "map: group is -1, it must be at least 1, or 0 for no groups");
  CHECK(error_with([](auto& m) { m.bits = 8; }) == "map: group is 2, for weights of 8 bits it must be 0");
  CHECK(error_with([](auto& m) { m.codes.pop_back(); }) == "map: has 5 codes, it needs 6");
  CHECK(error_with([](auto& m) { m.scales.push_back(1); }) == "map: has 3 scales, it needs 2");
  CHECK(error_with([](auto& m) { m.group_scales.pop_back(); }) == "map: has 3 group scales, it needs 4");
  CHECK(error_with([](auto& m) { m.group = 0; }) == "map: has 4 group scales, it needs 0");
  CHECK(error_with([](auto& m) { m.codes[2] = 8; }) == "map: code 2 is 8, outside -8 .. 7");
  CHECK(error_with([](auto& m) { m.bits = 2, m.codes = {1, -3, 3, 0, -1, 1}; }) ==
        "map: code 3 is 0, but codes of 2 bits go from -3 in steps of 2");
  CHECK(error_with([](auto& m) { m.codes[3] = -9; }) == "map: code 3 is -9, outside -8 .. 7");
  CHECK(error_with([](auto& m) { m.group_scales[1] = 0; }) == "map: group scale 1 is 0, outside 1 .. 15");
  CHECK(error_with([](auto& m) { m.group_scales[1] = 16; }) == "map: group scale 1 is 16, outside 1 .. 15");
  CHECK(error_with([](auto& m) { m.scales[1] = -1; }) == "map: scale 1 is -1, it must be finite and not negative");
  CHECK(error_with([](auto& m) { m.scales[0] = std::numeric_limits<float>::infinity(); }) ==
        "map: scale 0 is inf, it must be finite and not negative");
}
