// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_linear.hpp>

#include <limits>

#include <icrl/core/rng.hpp>
#include <icrl/model/tensors.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/quantized_maps.hpp"

using namespace icrl;
using icrl::test::error_of;
using icrl::test::random_quantized;

namespace {

RowVector<float> counted_bias(Index size) {
  RowVector<float> bias(size);
  for (Index i = 0; i < size; ++i) bias(i) = static_cast<float>(i) / 4;
  return bias;
}

/// y = x W + b on floats, through the map's own quantization of x.
Matrix<float> forward(const Int8Linear& map, const Matrix<float>& x) {
  const Index stride = detail::whole_words(map.in);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(x.rows() * stride));
  std::vector<float> scales;
  for (Index r = 0; r < x.rows(); ++r)
    scales.push_back(detail::ScalarInt8::quantize(row_data(x, r), map.in, 128, codes.data() + r * stride));
  Matrix<float> y(x.rows(), map.out);
  detail::ScalarInt8::multiply(map.view(), {codes.data(), stride, scales.data(), x.rows()}, false, y.data(), map.out);
  return y;
}

}  // namespace

TEST_CASE("Codes of any width are stored and come back", "[compress]") {
  Rng rng{1};
  for (const int bits : {8, 4, 3, 2}) {
    for (const Index in : {1, 5, 8, 31, 64}) {
      const QuantizedMatrix matrix = random_quantized(in, 7, bits, 3, rng);

      const Int8Linear map{matrix, counted_bias(7), "map"};

      const QuantizedMatrix stored = map.quantized();
      CHECK(stored.codes == matrix.codes);
      CHECK(stored.group_scales == matrix.group_scales);
      CHECK(stored.scales == matrix.scales);
      CHECK(map.weight.rows() == (in * bits + 7) / 8);
      std::int64_t numbers = 0;
      for (const TensorView& tensor : tensors_of(map))
        numbers += static_cast<std::int64_t>(tensor.bytes.size()) * 8 / dtype_bits(tensor.dtype);
      CHECK(numbers == Int8Linear::weight_count(in, 7, bits, 3));
    }
  }
}

TEST_CASE("An integer map is close to the map of its dequantized weights", "[compress]") {
  Rng rng{2};
  for (const int bits : {8, 4, 3, 2}) {
    const QuantizedMatrix matrix = random_quantized(37, 19, bits, 8, rng);
    const Int8Linear map{matrix, counted_bias(19), "map"};
    Matrix<float> x(3, 37);
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());

    const Matrix<float> exact = (x * dequantized(matrix)).rowwise() + counted_bias(19);

    CHECK((forward(map, x) - exact).norm() < 0.02f * exact.norm());
  }
}

TEST_CASE("A map of fewer bits has the bits of its expansion to int8", "[compress]") {
  Rng rng{3};
  const QuantizedMatrix matrix = random_quantized(20, 6, 4, 8, rng);
  QuantizedMatrix expanded{.in = 20, .out = 6, .codes = {}, .group_scales = {}, .scales = matrix.scales};
  for (Index i = 0; i < 20; ++i)
    for (Index o = 0; o < 6; ++o) expanded.codes.push_back(static_cast<std::int8_t>(matrix.value(i, o)));
  Matrix<float> x(1, 20);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());

  CHECK(forward({matrix, counted_bias(6), "map"}, x) == forward({expanded, counted_bias(6), "map"}, x));
}

TEST_CASE("A map leaves out blocks without weights where this is quicker, and keeps its bits", "[compress]") {
  Rng rng{6};
  struct Case {
    Index in, out;
    int bits;
    double density;
    bool is_sparse;
  };
  for (const Case& c : {Case{64, 48, 8, 0.2, true}, Case{64, 48, 8, 0.5, false}, Case{512, 16, 8, 0.5, true},
                        Case{512, 16, 8, 0.65, false}, Case{131, 35, 8, 0.1, true}, Case{131, 35, 4, 0.1, true},
                        Case{131, 35, 3, 0.1, true}, Case{16, 130, 8, 0.3, false}, Case{64, 33, 8, 0, true}}) {
    QuantizedMatrix matrix = random_quantized(c.in, c.out, c.bits, 8, rng);
    const auto code = [&](Index i, Index o) -> std::int8_t& {
      return matrix.codes[static_cast<std::size_t>(i * c.out + o)];
    };
    for (Index first = 0; first < c.out; first += 16)
      for (Index i = 0; i < c.in; ++i)
        // A share of whole blocks, the same for every 16 outputs but not the same blocks.
        if ((i / 4 * 7 + first / 16) % 20 >= std::lround(20 * c.density))
          for (Index o = first; o < std::min(first + 16, c.out); ++o) code(i, o) = 0;
    code(7, 13) = 3;  // a block may have a single weight
    Matrix<float> x(5, c.in);
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
    INFO(c.in << " x " << c.out << ", " << c.bits << " bits");

    const Int8Linear map{matrix, counted_bias(c.out), "map"};

    CHECK(map.is_sparse() == c.is_sparse);
    CHECK(map.quantized().codes == matrix.codes);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(c.in));
    Matrix<float> expected(5, c.out);
    for (Index r = 0; r < 5; ++r) {
      const float scale = detail::ScalarInt8::quantize(row_data(x, r), c.in, 0, codes.data());
      for (Index o = 0; o < c.out; ++o) {
        int sum = 0;
        for (Index i = 0; i < c.in; ++i)
          sum += static_cast<std::int8_t>(codes[static_cast<std::size_t>(i)]) * matrix.value(i, o);
        const float product =
            detail::exact_product(static_cast<float>(sum), scale * matrix.scales[static_cast<std::size_t>(o)]);
        expected(r, o) = product + static_cast<float>(o) / 4;
      }
    }
    CHECK(forward(map, x) == expected);
    const Int8Linear copy = map;
    CHECK(forward(copy, x) == expected);
  }
}

TEST_CASE("A map that is packed again follows its weights", "[compress]") {
  Rng rng{7};
  const Int8Linear full{random_quantized(64, 32, 8, 0, rng), counted_bias(32), "map"};
  Int8Linear map = full;
  Matrix<float> x(1, 64);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());

  map.weight.bottomRows(60).setZero();
  map.pack("map");
  const bool was_sparse = map.is_sparse();
  map.weight = full.weight;
  map.pack("map");

  CHECK(was_sparse);
  CHECK_FALSE(map.is_sparse());
  CHECK(forward(map, x) == forward(full, x));
}

TEST_CASE("A map that cannot be packed multiplies as before", "[compress]") {
  Rng rng{8};
  QuantizedMatrix matrix = random_quantized(64, 32, 8, 0, rng);
  std::fill(matrix.codes.begin() + 128, matrix.codes.end(), std::int8_t{0});
  Int8Linear map{matrix, counted_bias(32), "map"};
  Matrix<float> x(1, 64);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
  const Matrix<float> before = forward(map, x);

  map.weight.setConstant(1);
  map.bias(3) = Eigen::half(std::numeric_limits<float>::infinity());
  CHECK_THROWS_AS(map.pack("map"), Error);

  CHECK(map.is_sparse());
  CHECK(forward(map, x) == before);
}

TEST_CASE("Sums of the most inputs and the largest codes fit into 32 bits", "[compress]") {
  constexpr Index most = Int8Linear::max_inputs;
  const auto map_of = [](Index in) {
    const QuantizedMatrix matrix{.in = in,
                                 .out = 1,
                                 .codes = std::vector<std::int8_t>(static_cast<std::size_t>(in), 127),
                                 .group_scales = {},
                                 .scales = {1}};
    return Int8Linear{matrix, RowVector<float>::Zero(1), "map"};
  };
  const Matrix<float> x = Matrix<float>::Constant(1, most, 127);

  CHECK(forward(map_of(most), x)(0, 0) == 127.0f * 127.0f * static_cast<float>(most));
  CHECK(error_of([&] { (void)map_of(most + 1); }) ==
        "int8 linear map: has 131073 inputs, an integer linear layer has at most 131072");
}

TEST_CASE("Scales that are stored are no smaller, and come back", "[compress]") {
  Rng rng{5};
  for (int i = 0; i < 2000; ++i) {
    const auto scale = static_cast<float>(std::pow(10.0, 8 * rng.uniform() - 7));
    const float stored = storable_scale(scale);
    CHECK(stored >= scale);
    CHECK(stored <= scale * 1.001f);
    CHECK(storable_scale(stored) == stored);
  }
  CHECK(storable_scale(0) == 0);
}

TEST_CASE("Weights are rounded to the nearest code of their output", "[compress]") {
  const Matrix<float> weights{{1.27f, 0.0f}, {-0.304f, 0.0f}, {0.306f, 0.0f}};

  const QuantizedMatrix matrix = nearest_int8(weights, "map");

  CHECK(matrix.codes == std::vector<std::int8_t>{127, 0, -30, 0, 31, 0});
  CHECK(matrix.scales[1] == 0);
  CHECK((dequantized(matrix) - weights).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 0.0051f);
  const Matrix<float> bad{{1.0f, std::numeric_limits<float>::infinity()}};
  CHECK(error_of([&] { (void)nearest_int8(bad, "map"); }) ==
        "map, output 1: a weight is inf, but integer models hold at most 8000");
}

TEST_CASE("A map refuses tensors that no quantizer gives", "[compress]") {
  Rng rng{4};
  const auto error_with = [&](int bits, auto spoil) {
    Int8Linear map{random_quantized(5, 3, bits, 2, rng), counted_bias(3), "map"};
    spoil(map);
    return error_of([&] { map.pack("file: map"); });
  };

  CHECK(error_with(8, [](auto& m) { m.weight(1, 1) = -128; }) == "file: map: code 4 is -128, outside -127 .. 127");
  CHECK(error_with(8, [](auto& m) { m.scale(2) = Eigen::half(-1024.0f); }) ==
        "file: map: scale 2 is -1, it must be finite and not negative");
  CHECK(error_with(4, [](auto& m) { m.group_scale[0](0, 1) = 0; }) == "file: map: group scale 1 is 0, outside 1 .. 15");
  CHECK(error_with(2, [](auto& m) { m.group_scale[0](0, 1) = 43; }) ==
        "file: map: group scale 1 is 43, outside 1 .. 42");
  CHECK(error_with(4, [](auto& m) { m.group_scale[0](1, 1) = 0x11; }) ==
        "file: map: the padding after the last group scale of output 1 is not zero (is the file damaged?)");
  CHECK(error_with(4, [](auto& m) { m.weight(2, 1) = 0x70; }) ==
        "file: map: the padding after the last weight of output 1 is not zero (is the file damaged?)");
  CHECK(error_with(8, [](auto& m) { m.bias(0) = Eigen::half(std::numeric_limits<float>::infinity()); }) ==
        "file: map: number 0 is inf, it must be finite");
  CHECK(error_of([&] {
          (void)Int8Linear{random_quantized(5, 3, 8, 0, rng), RowVector<float>::Constant(3, 1e6f), "map"};
        }) == "map: number 0 is 1000000, but half precision holds at most 65504");
  CHECK(error_of([&] {
          (void)Int8Linear{random_quantized(5, 3, 8, 0, rng), counted_bias(2), "map"};
        }) == "map: has 2 biases for 3 outputs");
}
