// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <icrl/compress/sparse_tiles.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/math/buffer.hpp>
#include <icrl/math/product.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

namespace detail {

/// Whether the target selects floats within four lanes by an instruction. Elsewhere selecting takes longer than the
/// multiplications that it saves.
inline constexpr bool selects_lanes =
#if defined(__AVX512F__) || (defined(__AVX__) && defined(__FMA__))
    true;
#else
    false;
#endif

/// Selects in every lane one of the four numbers at `from`, by the low two bits of `control`.
inline Packet<float> select_of_four(const float* from, const Packet<std::uint32_t>& control) {
#if defined(__AVX512F__)
  const __m512 four = _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(from));
  return Packet<float>(_mm512_maskz_permutevar_ps(0xffff, four, __m512i(control)));
#elif defined(__AVX__) && defined(__FMA__)
  const __m128 four = _mm_loadu_ps(from);
  return Packet<float>(_mm256_permutevar_ps(_mm256_set_m128(four, four), __m256i(control)));
#else
  Packet<float> selected{};
  for (std::size_t i = 0; i < lane_count<float>; ++i) selected[i] = from[control[i] & 3u];
  return selected;
#endif
}

}  // namespace detail

/// y = x W + b where at most two of every four neighboring inputs of an output have a nonzero weight (2:4 sparsity). It
/// stores these two weights and their positions, in two bits each. It acts only. Its outputs equal those of the dense
/// map and do not depend on the other rows. On targets that cannot select lanes (SSE2, NEON) it is a dense map.
///
/// For many rows at once the weights are unpacked, panel by panel, for a dense product, which is then quicker.
class TwoFourLinear {
public:
  using Scalar = float;
  using Scratch = NoMemory;

  /// All weights zero.
  TwoFourLinear(Index in, Index out) : TwoFourLinear{Linear<float>{in, out}} {}
  /// Throws Error if more than two of four neighboring inputs have a nonzero weight.
  explicit TwoFourLinear(const Linear<float>& dense)
      : in_{dense.input_size()},
        out_{dense.output_size()},
        bias_(static_cast<std::size_t>(detail::panel_count(out_) * detail::sparse_panel)),
        dense_{detail::selects_lanes ? Linear<float>{0, 0} : dense} {
    std::copy_n(dense.bias.data(), out_, bias_.begin());
    const Index panels = detail::panel_count(out_), quads = quad_count();
    values_.resize(2 * quads, panels * detail::sparse_panel);
    controls_.resize((quads + 7) / 8, panels * detail::sparse_panel);
    std::fill_n(values_.data(), values_.rows() * values_.cols(), 0.0f);
    std::fill_n(controls_.data(), controls_.rows() * controls_.cols(), 0u);
    for (Index o = 0; o < out_; ++o)
      for (Index quad = 0; quad < quads; ++quad) pack(dense.weight, quad, o);
    if (detail::selects_lanes) return;
    values_ = {};
    controls_ = {};
  }

  [[nodiscard]] Index input_size() const { return in_; }
  [[nodiscard]] Index output_size() const { return out_; }
  /// Of memory for weights, selectors and biases.
  [[nodiscard]] std::size_t byte_count() const {
    const Index packed = values_.rows() * values_.cols() + controls_.rows() * controls_.cols();
    return (static_cast<std::size_t>(packed + dense_.weight.size()) + bias_.size()) * sizeof(float);
  }

  static void reserve(Scratch&, Index) {}
  void forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const {
    if constexpr (detail::selects_lanes) return run(x, y, false);
    dense_.forward(x, y);
  }
  void add_forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const {
    if constexpr (detail::selects_lanes) return run(x, y, true);
    dense_.add_forward(x, y);
  }

private:
  /// From this many rows on, a dense product of unpacked weights is faster.
  static constexpr Index many_rows = 48;

  [[nodiscard]] Index quad_count() const { return (in_ + 3) / 4; }
  /// Where the weights of a group of panels begin, and their selectors.
  [[nodiscard]] Index values_of(Index first_output) const { return quad_count() * 2 * first_output; }
  [[nodiscard]] Index controls_of(Index first_output) const { return (quad_count() + 7) / 8 * first_output; }

  /// Stores the two weights of output `o` and the inputs 4 quad .. 4 quad + 3, in the order of their inputs. For every
  /// quad, a group of panels stores the first weights of all its outputs, then the second ones; for every 8 quads it
  /// stores one word of selectors per output, two bits per weight.
  void pack(const Matrix<float>& weight, Index quad, Index o) {
    const Index begin = 4 * quad, size = std::min<Index>(4, in_ - begin);
    const auto has_weight = [&](Index i) { return i < size && weight(begin + i, o) != 0; };
    Index chosen[2] = {0, 1}, count = 0;
    for (Index i = 0; i < 4; ++i) {
      if (!has_weight(i)) continue;
      if (count == 2) {
        fail("2:4 sparse linear map: more than two of the weights {} .. {} of output {} are not zero (prune 2:4 first)",
             begin, begin + size - 1, o);
      }
      chosen[count++] = i;
    }
    if (count == 1) {  // the other one is any input without a weight
      chosen[1] = chosen[0] == 3 ? 2 : 3;
      if (chosen[1] < chosen[0]) std::swap(chosen[0], chosen[1]);
    }
    const Index first = o / detail::grouped_outputs * detail::grouped_outputs, lane = o - first;
    const Index width = detail::panels_of_group(out_, first) * detail::sparse_panel;
    std::uint32_t& control = controls_.data()[controls_of(first) + quad / 8 * width + lane];
    for (Index slot = 0; slot < 2; ++slot) {
      const Index i = chosen[slot];
      values_.data()[values_of(first) + (2 * quad + slot) * width + lane] = has_weight(i) ? weight(begin + i, o) : 0.0f;
      control |= static_cast<std::uint32_t>(i) << (4 * (quad % 8) + 2 * slot);
    }
  }

  void run(MatrixIn<float> x, MatrixOut<float> y, bool accumulate) const {
    ICRL_ASSERT(x.cols() == in_ && y.rows() == x.rows() && y.cols() == out_,
                "2:4 sparse linear map: x must be (rows, in) and y (rows, out)");
    if (x.rows() >= many_rows) return run_unpacked(x, y, accumulate);
    detail::for_panel_groups(x, bias_, y, accumulate, [&](const detail::SparseTile& group, Index rows, Index first) {
      detail::with_panel_count(detail::panels_of_group(out_, first), [&](auto panels) {
        detail::for_row_tiles(group, rows, [&](const detail::SparseTile& tile, auto row_count) {
          run_tile<row_count, panels>(tile, values_.data() + values_of(first), controls_.data() + controls_of(first));
        });
      });
    });
  }

  template <std::size_t rows, std::size_t panels>
  void run_tile(detail::SparseTile tile, const float* values, const std::uint32_t* controls) const {
    using namespace detail;
    constexpr std::size_t packets = panels * packets_of_sparse_panel, width = panels * 16;
    SparseSums<rows, panels> tile_sums{tile};
    Packet<std::uint32_t> control[packets] = {};
    const auto add_quad = [&](const float* x, Index x_stride) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < packets; ++p) {
        const Packet<std::uint32_t> second = control[p] >> 2;
        const Packet<float> a = load(values + p * lane_count<float>), b = load(values + width + p * lane_count<float>);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < rows; ++r) {
          const float* const four = x + static_cast<Index>(r) * x_stride;
          auto& sum = tile_sums.sums[r][p];
          sum = multiply_add<float>(select_of_four(four, control[p]), a, sum);
          sum = multiply_add<float>(select_of_four(four, second), b, sum);
        }
        control[p] >>= 4;
      }
      values += 2 * width;
    };
    const Index whole = in_ / 4;
    for (Index quad = 0; quad < quad_count(); quad += 8, controls += width) {
      for (std::size_t p = 0; p < packets; ++p) control[p] = load(controls + p * lane_count<float>);
      const Index end = std::min(quad + 8, whole);
      for (Index q = quad; q < end; ++q, tile.x += 4) add_quad(tile.x, tile.x_stride);
    }
    if (in_ % 4 != 0) {
      float last[rows][4] = {};
      for (std::size_t r = 0; r < rows; ++r)
        std::copy_n(tile.x + static_cast<Index>(r) * tile.x_stride, in_ % 4, last[r]);
      add_quad(&last[0][0], 4);
    }
    tile_sums.store_to(tile);
  }

  void run_unpacked(MatrixIn<float> x, MatrixOut<float> y, bool accumulate) const {
    using namespace detail;
    constexpr auto block = static_cast<Index>(depth_block);
    alignas(64) float weights[depth_block * grouped_outputs];
    for (Index first = 0; first < out_; first += grouped_outputs) {
      const Index width = std::min(grouped_outputs, out_ - first);
      for (Index k = 0; k < in_; k += block) {
        const Index depth = std::min(block, in_ - k);
        unpack(first, k / 4, (depth + 3) / 4, weights);
        product<float>({.rows = x.rows(),
                        .width = width,
                        .depth = depth,
                        .a = {x.data() + k, x.outerStride(), 1},
                        .b = {weights, grouped_outputs, 1},
                        .c = y.data() + first,
                        .c_stride = y.outerStride(),
                        .accumulate = accumulate || k > 0,
                        .bias = k == 0 ? bias_.data() + first : nullptr});
      }
    }
  }
  /// The dense weights of a group of panels and `count` quads from `begin` on, as rows of `grouped_outputs`.
  void unpack(Index first, Index begin, Index count, float* weights) const {
    using namespace detail;
    const Index width = panels_of_group(out_, first) * sparse_panel;
    for (Index quad = begin; quad < begin + count; ++quad, weights += 4 * grouped_outputs) {
      const float* const values = values_.data() + values_of(first) + 2 * quad * width;
      const std::uint32_t* const controls = controls_.data() + controls_of(first) + quad / 8 * width;
      for (Index lane = 0; lane < width; lane += lanes<float>) {
        const Packet<std::uint32_t> control = load(controls + lane) >> static_cast<std::uint32_t>(4 * (quad % 8));
        const Packet<std::uint32_t> first_input = control & 3u, second_input = control >> 2 & 3u;
        const Packet<float> a = load(values + lane), b = load(values + width + lane), none{};
        const Packet<float> of_1 = second_input == 1u ? b : none, of_2 = second_input == 2u ? b : none;
        store(weights + lane, first_input == 0u ? a : none);  // the first input's number is below the second's
        store(weights + grouped_outputs + lane, first_input == 1u ? a : of_1);
        store(weights + 2 * grouped_outputs + lane, first_input == 2u ? a : of_2);
        store(weights + 3 * grouped_outputs + lane, second_input == 3u ? b : none);
      }
    }
  }

  Index in_, out_;
  std::vector<float> bias_;         // padded to whole panels
  Buffer<float> values_;            // (2 quads, outputs), ordered as `pack` says
  Buffer<std::uint32_t> controls_;  // (eights of quads, outputs)
  Linear<float> dense_;             // in place of these two where the target cannot select lanes
};
static_assert(LinearMap<TwoFourLinear> && !TrainableLayer<TwoFourLinear>);

}  // namespace icrl
