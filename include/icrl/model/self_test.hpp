// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/model/self_test_kernels.hpp>
#include <icrl/model/self_test_model.hpp>
#include <icrl/model/self_test_numbers.hpp>
#include <icrl/model/self_test_stack.hpp>

namespace icrl {

/// Checks whether the compiler translated this program correctly: compares whole sequences of
/// `CausalTransformer<float>::step` and its kernels with plain arithmetic in double, and random numbers and checksums
/// with known values. Takes less than 50 ms when optimized. Throws Error that names the
/// part, both values, the compiler and the target. For programs that train, see also `self_test_training`.
inline void self_test() {
  using namespace detail;
  check_vector_moves();
  // What is most likely to be wrong comes first, and on memory that is larger than it asks for: an Error can only be
  // reported as long as the heap is whole.
  const auto step = [](const CausalTransformer<float>& model, std::span<const StreamInput<KeyValueCache<float>>> lanes,
                       CausalTransformer<float>::StreamWorkspace& workspace,
                       Matrix<float>& outputs) { model.step(lanes, workspace, outputs); };
  const TransformerConfig shapes[] = {
      {.width = 64, .layer_count = 2, .head_count = 4, .hidden = 80, .context = 80},
      {.width = 30,
       .layer_count = 1,
       .head_count = 3,
       .hidden = 37,
       .context = 65,
       .positions = PositionScheme::rotary},
      {.width = 48, .layer_count = 2, .head_count = 3, .hidden = 61, .context = 33},
      {.width = 32, .layer_count = 2, .head_count = 2, .context = 17, .positions = PositionScheme::rotary},
      {.width = 24, .layer_count = 1, .head_count = 2, .hidden = 50, .context = 16},
      {.width = 40, .layer_count = 2, .head_count = 5, .context = 1}};
  const int lanes[] = {1, 1, 2, 3, 5, 12};
  for (std::size_t i = 0; i < std::size(shapes); ++i) {
    TransformerConfig shape = shapes[i];
    shape.context = opaque(shape.context);
    check_steps(shape, opaque(lanes[i]), step);
  }

  check_attention([](const float* query, Index heads, const StreamKeyValues<float>& past, Index count,
                     Matrix<float>& scores, float* mixed) { attend(query, heads, past, count, scores, mixed); });
  check_products<float>([](const Gemm<float>& gemm) { product(gemm); });
  check_products<Bf16Pair>([](const Gemm<Bf16Pair>& gemm) { product(gemm); });
  check_softmax([](float* x, Index count, Index size, float scale) { softmax_row(x, count, size, scale); });
  check_gelu([](float* y, float* slope, Index size) {
    if (slope == nullptr)
      gelu_row(y, size);
    else
      gelu_row(y, slope, size);
  });
  check_norm([](const LayerNorm<float>& norm, MatrixIn<float> x, MatrixOut<float> y) {
    LayerNorm<float>::Scratch scratch;
    norm.forward(x, scratch, y);
  });
  check_rounding([](const float* from, Index size, Bf16Pair* to) { round_row(from, size, to); });
  check_random([](std::uint64_t seed, std::uint64_t stream) { return Rng{seed, stream}; });
  check_checksum([](std::span<const std::byte> bytes, std::uint32_t previous) { return crc32c(bytes, previous); });
}

}  // namespace icrl
