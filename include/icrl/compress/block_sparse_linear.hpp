// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <icrl/compress/sparse_tiles.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/math/buffer.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// y = x W + b where W is zero in blocks of 16 outputs by 1 input, which are skipped: for each panel of 16 outputs it
/// stores only the inputs with nonzero weights, and these weights. It acts only. Its outputs equal those of the dense
/// map and do not depend on the other rows. Any W is accepted; only blocks of zeros save time. Panels are processed in
/// groups (of 4 on a target with AVX-512), and the panel with the most blocks determines the time of its group.
class BlockSparseLinear {
public:
  using Scalar = float;
  using Scratch = NoMemory;
  static constexpr Index max_inputs = 65536;  ///< numbers of inputs take 16 bits

  /// All weights zero.
  BlockSparseLinear(Index in, Index out) : BlockSparseLinear{Linear<float>{in, out}} {}
  /// Throws Error for a map with too many inputs.
  explicit BlockSparseLinear(const Linear<float>& dense)
      : in_{dense.input_size()},
        out_{dense.output_size()},
        bias_(static_cast<std::size_t>(detail::panel_count(out_) * detail::sparse_panel)) {
    if (in_ > max_inputs) fail("block-sparse linear layer: it has {} inputs, at most {} are possible", in_, max_inputs);
    std::copy_n(dense.bias.data(), out_, bias_.begin());
    std::vector<float> values;
    for (Index first = 0; first < out_; first += detail::grouped_outputs) add_group(dense.weight, first, values);
    values_.resize(static_cast<Index>(inputs_.size()), detail::sparse_panel);
    std::copy(values.begin(), values.end(), values_.data());
  }

  [[nodiscard]] Index input_size() const { return in_; }
  [[nodiscard]] Index output_size() const { return out_; }
  /// Blocks that hold a weight, out of `in` times the number of panels.
  [[nodiscard]] Index block_count() const { return block_count_; }
  /// Bytes of memory: the weights of the blocks that are kept, the indices of these blocks, the bias.
  [[nodiscard]] std::size_t byte_count() const {
    return inputs_.size() * (detail::sparse_panel * sizeof(float) + sizeof(std::uint16_t)) +
           bias_.size() * sizeof(float);
  }

  static void reserve(Scratch&, Index) {}
  void forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const { run(x, y, false); }
  void add_forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const { run(x, y, true); }

private:
  /// The blocks of the panels from output `first` on, step by step: of each step one block per panel. A panel with
  /// fewer blocks than the others in its group is padded with zero weights of the first input.
  void add_group(const Matrix<float>& weight, Index first, std::vector<float>& values) {
    const Index panels = detail::panels_of_group(out_, first);
    std::vector<std::vector<Index>> inputs(static_cast<std::size_t>(panels));
    std::size_t steps = 0;
    for (Index p = 0; p < panels; ++p) {
      auto& mine = inputs[static_cast<std::size_t>(p)];
      for (Index i = 0; i < in_; ++i)
        if (!block_of(weight, first, p, i).isZero(0)) mine.push_back(i);
      steps = std::max(steps, mine.size());
      block_count_ += static_cast<Index>(mine.size());
    }
    for (std::size_t s = 0; s < steps; ++s) {
      for (Index p = 0; p < panels; ++p) {
        const auto& mine = inputs[static_cast<std::size_t>(p)];
        const std::size_t begin = values.size();
        values.resize(begin + static_cast<std::size_t>(detail::sparse_panel));
        inputs_.push_back(s < mine.size() ? static_cast<std::uint16_t>(mine[s]) : std::uint16_t{0});
        if (s >= mine.size()) continue;
        const auto block = block_of(weight, first, p, mine[s]);
        for (Index o = 0; o < block.size(); ++o) values[begin + static_cast<std::size_t>(o)] = block(o);
      }
    }
    group_ends_.push_back(inputs_.size());
  }
  [[nodiscard]] RowVector<float> block_of(const Matrix<float>& weight, Index first, Index panel, Index input) const {
    const Index from = first + panel * detail::sparse_panel;
    return weight.row(input).segment(from, std::min(detail::sparse_panel, out_ - from));
  }

  void run(MatrixIn<float> x, MatrixOut<float> y, bool accumulate) const {
    ICRL_ASSERT(x.cols() == in_ && y.rows() == x.rows() && y.cols() == out_,
                "block-sparse linear map: x must be (rows, in) and y (rows, out)");
    detail::for_panel_groups(x, bias_, y, accumulate, [&](const detail::SparseTile& group, Index rows, Index first) {
      const auto number = static_cast<std::size_t>(first / detail::grouped_outputs);
      const std::size_t begin = number == 0 ? 0 : group_ends_[number - 1];
      detail::with_panel_count(detail::panels_of_group(out_, first), [&](auto panels) {
        detail::for_row_tiles(group, rows, [&](const detail::SparseTile& tile, auto row_count) {
          run_tile<row_count, panels>(tile, inputs_.data() + begin, inputs_.data() + group_ends_[number],
                                      values_.data() + static_cast<Index>(begin) * detail::sparse_panel);
        });
      });
    });
  }

  template <std::size_t rows, std::size_t panels>
  static void run_tile(const detail::SparseTile& tile, const std::uint16_t* inputs, const std::uint16_t* end,
                       const float* values) {
    using namespace detail;
    SparseSums<rows, panels> tile_sums{tile};
    for (; inputs != end; inputs += panels) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < panels; ++p) {
        const float* x = tile.x + inputs[p];
#pragma GCC unroll 4
        for (std::size_t r = 0; r < rows; ++r) {
          const Packet<float> number = load_to_all(x);
#pragma GCC unroll 4
          for (std::size_t q = 0; q < packets_of_sparse_panel; ++q) {
            auto& sum = tile_sums.sums[r][p * packets_of_sparse_panel + q];
            sum = multiply_add<float>(number, load(values + q * lane_count<float>), sum);
          }
          x += tile.x_stride;
        }
        values += sparse_panel;
      }
    }
    tile_sums.store_to(tile);
  }

  Index in_, out_, block_count_ = 0;
  std::vector<float> bias_;              // padded to whole panels
  std::vector<std::uint16_t> inputs_;    // of every block
  Buffer<float> values_;                 // (blocks, 16)
  std::vector<std::size_t> group_ends_;  // where the blocks of each group end
};
static_assert(LinearMap<BlockSparseLinear> && !TrainableLayer<BlockSparseLinear>);

}  // namespace icrl
