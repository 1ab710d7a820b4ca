// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/layer.hpp>

#include <icrl/nn/bf16_block.hpp>
#include <icrl/nn/block.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// A map that only acts: it has no backward.
struct Halves {
  using Scalar = float;
  using Scratch = NoMemory;
  Index in, out;
  Halves(Index inputs, Index outputs) : in{inputs}, out{outputs} {}
  [[nodiscard]] Index input_size() const { return in; }
  [[nodiscard]] Index output_size() const { return out; }
  static void reserve(Scratch&, Index) {}
  static void forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) {
    y.setConstant(0);
    y.leftCols(std::min(x.cols(), y.cols())) = 0.5f * x.leftCols(std::min(x.cols(), y.cols()));
  }
  static void add_forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) {
    y.leftCols(std::min(x.cols(), y.cols())) += 0.5f * x.leftCols(std::min(x.cols(), y.cols()));
  }
};

/// What can be done with a block of such parts, by type.
template <typename B>
concept Trains = requires(const B& block, typename B::Cache& cache, typename B::Scratch& scratch, Matrix<float>& x) {
  block.forward(RotaryTable<float>{}, cache, scratch, x);
};
template <typename B>
concept Acts = requires(const B& block, typename B::StreamScratch& scratch, Matrix<float>& x) {
  block.step(RotaryTable<float>{}, std::span<const StreamPlace<float>>{}, std::span<const Index>{}, scratch, x);
};

}  // namespace

TEST_CASE("What a layer can do follows from what it has", "[nn]") {
  STATIC_REQUIRE(TrainableLinearMap<Linear<float>>);
  STATIC_REQUIRE(TrainableLayer<FeedForward<double>>);
  STATIC_REQUIRE(FeedForwardLayer<FeedForward<float>>);
  STATIC_REQUIRE(LinearMap<Halves>);
  STATIC_REQUIRE_FALSE(TrainableLayer<Halves>);

  STATIC_REQUIRE(Trains<Block<float>>);
  STATIC_REQUIRE(Acts<Block<float>>);
  STATIC_REQUIRE(Acts<Block<float, Halves>>);
  STATIC_REQUIRE_FALSE(Trains<Block<float, Halves>>);
}

TEST_CASE("A block of maps that only act takes a step", "[nn]") {
  const Block<float, Halves> block{4, 8, 2};
  Block<float, Halves>::StreamScratch scratch;
  block.reserve(scratch, 1, 1);
  std::vector<float> keys(64), values(4);
  const StreamPlace<float> places[] = {{{keys.data(), values.data(), 4}, 0}};
  const Index wanted[] = {0};
  Matrix<float> x(1, 4);
  x << 1, 2, 3, 4;
  const Matrix<float> before = x;
  block.step(RotaryTable<float>{}, places, wanted, scratch, x);
  CHECK(x.allFinite());
  CHECK(x != before);
}
