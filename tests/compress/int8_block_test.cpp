// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_block.hpp>

#include <icrl/model/tensors.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("An int8 norm is the layer norm", "[compress]") {
  LayerNorm<float> norm{6};
  norm.gain << 1, 0.5f, -2, 1, 0.25f, 3;
  norm.bias << 0, 1, 2, -1, 0.5f, 0;
  const Matrix<float> x{{1, 4, -2, 0.5f, 3, 9}};
  Matrix<float> expected(1, 6), found(1, 6);
  LayerNorm<float>::Scratch scratch;
  norm.forward(x, scratch, expected);

  Int8Norm{norm, "norm"}.forward(detail::ScalarInt8{}, x.data(), found.data());

  CHECK((found - expected).norm() < 1e-5f);
  norm.bias(2) = 1e5f;
  CHECK(error_of([&] {
          (void)Int8Norm{norm, "norm"};
        }) == "norm: number 2 is 100000, but half precision holds at most 65504");
}

TEST_CASE("A block counts its numbers, and names its tensors as float blocks do", "[compress]") {
  const BlockShape shape{.width = 12, .heads = 2, .head_size = 5, .hidden = 7};
  for (const int bits : {8, 3}) {
    const Int8Block block{shape, bits, 4};
    std::int64_t numbers = 0;
    std::vector<std::string> names;
    for (const TensorView& tensor : tensors_of(block)) {
      numbers += static_cast<std::int64_t>(tensor.bytes.size()) * 8 / dtype_bits(tensor.dtype);
      names.push_back(tensor.name);
    }
    CHECK(numbers == Int8Block::weight_count(shape, bits, 4));
    CHECK(std::find(names.begin(), names.end(), "attention.qkv.weight") != names.end());
    CHECK(std::find(names.begin(), names.end(), "mlp.down.scale") != names.end());
    CHECK(block.widest() == 30);
  }
}
