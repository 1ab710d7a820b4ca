// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/block_sparse_linear.hpp>

#include <limits>

#include <icrl/compress/pruning.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/guard_pages.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using InRows = Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>;

Linear<float> block_pruned_map(Index in, Index out, double sparsity, PruneScope scope, std::uint64_t seed = 1) {
  Linear<float> map{in, out};
  Rng rng{seed};
  map.initialize(1, rng);
  fill_normal(map.bias, 1, rng);
  (void)prune(map, {.sparsity = sparsity, .scope = scope, .block_outputs = 16, .weights = {"weight"}});
  return map;
}

}  // namespace

TEST_CASE("A block-sparse map gives what the dense one gives, at any shape and number of rows", "[compress]") {
  Rng rng{7};
  NoMemory none;
  for (const auto& [in, out] :
       {std::pair<Index, Index>{64, 192}, {5, 16}, {33, 17}, {1, 1}, {20, 63}, {512, 128}, {40, 300}}) {
    for (const PruneScope scope : {PruneScope::map, PruneScope::output}) {
      const Linear<float> dense = block_pruned_map(in, out, 0.7, scope);
      const BlockSparseLinear sparse{dense};
      CHECK(sparse.input_size() == in);
      CHECK(sparse.output_size() == out);
      for (const Index rows : {1, 2, 3, 4, 7, 19}) {
        Matrix<float> x(rows, in), expected(rows, out), y(rows, out);
        fill_normal(x, 1, rng);
        dense.forward(x, expected);
        sparse.forward(x, none, y);
        CHECK(y == expected);
        fill_normal(y, 1, rng);
        expected = y;
        dense.add_forward(x, expected);
        sparse.add_forward(x, none, y);
        CHECK(y == expected);
      }
    }
  }
}

TEST_CASE("A block-sparse map holds the blocks that have a weight", "[compress]") {
  Linear<float> dense{10, 40};
  dense.weight(3, 0) = 1;
  dense.weight(3, 17) = 1;
  dense.weight(9, 39) = 1;
  const BlockSparseLinear sparse{dense};
  CHECK(sparse.block_count() == 3);
  CHECK(BlockSparseLinear{10, 40}.block_count() == 0);
  CHECK(BlockSparseLinear{block_pruned_map(64, 64, 0.75, PruneScope::output)}.block_count() == 64);
  CHECK(BlockSparseLinear{block_pruned_map(64, 64, 0.75, PruneScope::output)}.byte_count() == 64 * 66 + 64 * 4);
}

TEST_CASE("A block-sparse map of no weights gives its bias", "[compress]") {
  Linear<float> dense{6, 20};
  dense.bias.setLinSpaced(1, 20);
  const Matrix<float> x = Matrix<float>::Constant(3, 6, 2);
  Matrix<float> y(3, 20);
  NoMemory none;
  BlockSparseLinear{dense}.forward(x, none, y);
  for (Index r = 0; r < 3; ++r) CHECK(y.row(r) == dense.bias);
}

TEST_CASE("A block-sparse map touches nothing beside its rows and allocates nothing", "[compress]") {
  NoMemory none;
  for (const Index out : {17, 32, 70}) {
    const Linear<float> dense = block_pruned_map(13, out, 0.5, PruneScope::map);
    const BlockSparseLinear sparse{dense};
    for (const Guard guard : {Guard::behind, Guard::before}) {
      const GuardedArray<float> in_memory(5 * 13, guard), out_memory(static_cast<std::size_t>(5 * out), guard);
      std::fill(in_memory.begin(), in_memory.end(), 0.5f);
      const InRows x{in_memory.data(), 5, 13, Eigen::OuterStride<>{13}};
      InRows y{out_memory.data(), 5, out, Eigen::OuterStride<>{out}};
      const AllocationCount allocations;
      sparse.forward(x, none, y);
      CHECK(allocations.count() == 0);
      Matrix<float> expected(5, out);
      dense.forward(x, expected);
      CHECK(y == expected);
    }
  }
}

TEST_CASE("A number that is not finite is not lost on its way through a block-sparse map", "[compress]") {
  const BlockSparseLinear sparse{block_pruned_map(8, 16, 0, PruneScope::map)};
  Matrix<float> x = Matrix<float>::Zero(1, 8), y(1, 16);
  x(0, 5) = std::numeric_limits<float>::quiet_NaN();
  NoMemory none;
  sparse.forward(x, none, y);
  CHECK(y.array().isNaN().all());
}

TEST_CASE("More inputs than can be numbered are refused", "[compress]") {
  CHECK(BlockSparseLinear{65536, 1}.input_size() == 65536);
  CHECK(error_of([] {
          BlockSparseLinear{65537, 1};
        }) == "block-sparse linear layer: it has 65537 inputs, at most 65536 are possible");
}
