// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/block.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Block backward matches finite differences", "[nn][gradient]") {
  const RotaryTable<double> rotary{20, 4};
  check_gradients(
      Block<double>{8, 24, 2}, 18, 8, 8,
      [&](const auto& block, const Matrix<double>& x) {
        Block<double>::Cache cache;
        Block<double>::Scratch scratch;
        Matrix<double> y = x;
        block.forward(rotary, cache, scratch, y);
        return y;
      },
      [&](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        Block<double>::Cache cache;
        Block<double>::Scratch scratch;
        Matrix<double> y = x, dx = dy;
        Block<double>::Scratch fresh;
        block.forward(rotary, cache, scratch, y);
        block.backward(rotary, cache, fresh, grad, dx);
        return dx;
      });
}

TEST_CASE("for_each_parameter names every tensor by its path", "[nn]") {
  Block<double> block{4, 8, 2};
  std::vector<std::string> names;
  for_each_parameter([&](std::string_view name, auto&) { names.emplace_back(name); }, block);

  CHECK(names.size() == 12);
  CHECK(names.front() == "attention_norm.gain");
  CHECK(std::find(names.begin(), names.end(), "mlp.down.bias") != names.end());
  CHECK(parameter_count(block) == 4 + 4 + 4 * 12 + 12 + 4 * 4 + 4 + 4 + 4 + 4 * 8 + 8 + 8 * 4 + 4);
}

TEST_CASE("A block that steps streams gives the rows of its forward pass, to the wanted ones alone", "[nn]") {
  constexpr Index tokens = 20, width = 8;
  const BlockShape shape{.width = width, .heads = 3, .head_size = 4, .hidden = 11};
  Rng rng{8};
  Block<double> block{shape};
  randomise(block, rng);
  CHECK(Block<double>::weight_count(shape) == parameter_count(block));
  const RotaryTable<double> rotary{tokens, 4};
  const Matrix<double> windows[] = {random_matrix(tokens, width, rng), random_matrix(tokens, width, rng)};
  Matrix<double> expected[] = {windows[0], windows[1]};
  Matrix<double> memory[4];
  for (Matrix<double>& numbers : memory) numbers.resize(1, 12 * padded<double>(tokens));
  for (Matrix<double>& window : expected) {
    Block<double>::Cache cache;
    Block<double>::Scratch scratch;
    block.forward(rotary, cache, scratch, window);
  }

  Block<double>::StreamScratch scratch;
  block.reserve(scratch, 2, tokens);
  for (Index t = 0; t < tokens; ++t) {
    const StreamPlace<double> places[] = {{{memory[0].data(), memory[1].data(), 12}, t},
                                          {{memory[2].data(), memory[3].data(), 12}, t}};
    Matrix<double> x(2, width);
    x << windows[0].row(t), windows[1].row(t);
    const std::vector<Index> wanted = t % 3 == 0 ? std::vector<Index>{1} : std::vector<Index>{0, 1};
    block.step(rotary, places, wanted, scratch, x);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      CHECK((x.row(static_cast<Index>(i)) - expected[wanted[i]].row(t)).norm() < 1e-12);
  }
}
