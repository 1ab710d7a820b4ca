// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <tuple>

#include <icrl/model/causal_transformer.hpp>
#include <icrl/nn/post_norm_block.hpp>

namespace icrl {

/// The norm before the head of a model that needs none: y = x, without weights.
template <std::floating_point S>
struct NoNorm {
  using Scalar = S;
  using Cache = NoMemory;
  using Scratch = NoMemory;

  /// As a LayerNorm is made.
  explicit NoNorm(Index /*width*/) {}

  [[nodiscard]] static std::int64_t weight_count(std::int64_t /*width*/) { return 0; }
  static void reserve(Scratch&) {}
  /// As LayerNorm's functions. `memory`: a Cache or Scratch.
  static void forward(MatrixIn<S> x, NoMemory& /*memory*/, MatrixOut<S> y) { y = x; }
  /// dx = dy.
  static void backward(MatrixIn<S> dy, const Cache&, NoNorm& /*grad*/, MatrixOut<S> dx) { dx = dy; }

  static constexpr auto parameters() { return std::tuple{}; }
};

/// A transformer's parts with post-norm blocks, as the original transformer and Algorithm Distillation have them
/// (Vaswani et al., 2017; Laskin et al., 2022, appendix L). There is no norm before the head, because the last block
/// ends with one.
template <std::floating_point S>
struct PostNormParts : DenseParts<S> {
  static constexpr std::string_view kind = "post_norm_transformer";
  template <typename L, typename F>
  using Block = PostNormBlock<S, L, F>;  ///< of such linear maps and feed-forward layers
  using FinalNorm = NoNorm<S>;           ///< none
};

/// A causal transformer of post-norm blocks. Its files are not read as those of a CausalTransformer.
template <std::floating_point S>
using PostNormTransformer = CausalTransformer<S, PostNormParts<S>>;

}  // namespace icrl
