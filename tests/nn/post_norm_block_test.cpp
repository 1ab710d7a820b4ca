// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/post_norm_block.hpp>

#include <string>
#include <vector>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using PostNorm = PostNormBlock<double>;

constexpr BlockShape post_norm_shape{.width = 8, .heads = 2, .head_size = 4, .hidden = 24};

}  // namespace

TEST_CASE("PostNormBlock backward matches finite differences", "[nn][gradient]") {
  const RotaryTable<double> rotary{20, 4};
  check_gradients(
      PostNorm{post_norm_shape}, 18, 8, 8,
      [&](const auto& block, const Matrix<double>& x) {
        PostNorm::Cache cache;
        PostNorm::Scratch scratch;
        Matrix<double> y = x;
        block.forward(rotary, cache, scratch, y);
        return y;
      },
      [&](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        PostNorm::Cache cache;
        PostNorm::Scratch scratch, fresh;
        Matrix<double> y = x, dx = dy;
        block.forward(rotary, cache, scratch, y);
        block.backward(rotary, cache, fresh, grad, dx);
        return dx;
      });
}

TEST_CASE("A post-norm block is x = norm(x + layer(x)), twice", "[nn]") {
  Rng rng{2};
  PostNorm block{post_norm_shape};
  randomise(block, rng);
  const Matrix<double> x = random_matrix(10, 8, rng);
  const auto normalized = [](const LayerNorm<double>& norm, const Matrix<double>& rows) {
    LayerNorm<double>::Cache cache;
    Matrix<double> y(rows.rows(), rows.cols());
    norm.forward(rows, cache, y);
    return y;
  };
  CausalAttention<double>::Cache attention_cache;
  CausalAttention<double>::Scratch attention_scratch;
  Matrix<double> expected = x;
  block.attention.add_forward(x, {}, attention_cache, attention_scratch, expected);
  const Matrix<double> between = normalized(block.attention_norm, expected);
  FeedForward<double>::Scratch scratch;
  expected = between;
  block.feed_forward.add_forward(between, scratch, expected);
  expected = normalized(block.feed_forward_norm, expected);

  PostNorm::Cache cache;
  PostNorm::Scratch memory;
  Matrix<double> y = x;
  block.forward({}, cache, memory, y);

  CHECK((y - expected).norm() < 1e-12);
}

TEST_CASE("A post-norm block has the tensors of a block", "[nn]") {
  const PostNorm block{post_norm_shape};
  const Block<double> other{post_norm_shape};
  std::vector<std::string> names, other_names;
  for (const auto& p : parameters_of(block)) names.push_back(p.name);
  for (const auto& p : parameters_of(other)) other_names.push_back(p.name);
  CHECK(names == other_names);
  CHECK(PostNorm::weight_count(post_norm_shape) == parameter_count(block));
}

TEST_CASE("A post-norm block that steps streams gives the rows of its forward pass, to the wanted ones alone", "[nn]") {
  constexpr Index tokens = 20, width = 8;
  Rng rng{8};
  PostNorm block{post_norm_shape};
  randomise(block, rng);
  const RotaryTable<double> rotary{tokens, 4};
  const Matrix<double> windows[] = {random_matrix(tokens, width, rng), random_matrix(tokens, width, rng)};
  Matrix<double> expected[] = {windows[0], windows[1]};
  Matrix<double> memory[4];
  for (Matrix<double>& numbers : memory) numbers.resize(1, 8 * padded<double>(tokens));
  for (Matrix<double>& window : expected) {
    PostNorm::Cache cache;
    PostNorm::Scratch scratch;
    block.forward(rotary, cache, scratch, window);
  }

  PostNorm::StreamScratch scratch;
  block.reserve(scratch, 2, tokens);
  for (Index t = 0; t < tokens; ++t) {
    const StreamPlace<double> places[] = {{{memory[0].data(), memory[1].data(), 8}, t},
                                          {{memory[2].data(), memory[3].data(), 8}, t}};
    Matrix<double> x(2, width);
    x << windows[0].row(t), windows[1].row(t);
    const std::vector<Index> wanted = t % 3 == 0 ? std::vector<Index>{1} : std::vector<Index>{0, 1};
    block.step(rotary, places, wanted, scratch, x);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      CHECK((x.row(static_cast<Index>(i)) - expected[wanted[i]].row(t)).norm() < 1e-12);
  }
}
