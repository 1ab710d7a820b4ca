// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <utility>

#include <icrl/math/matrix.hpp>
#include <icrl/nn/parameters.hpp>

// The protocol of layers. A layer maps rows to rows: x (T, in) -> y (T, out), each row by itself. It holds weights
// only; a pass brings the memory. What can act need not be trainable: a quantized map has the first half alone.
//
//   acts     Scalar, Scratch            memory of one call, which all layers of a pass may share
//            input_size, output_size
//            reserve(scratch, T)        so that calls with up to T rows allocate nothing; optional for the caller,
//                                       because a call sizes what it needs itself
//            add_forward(x, scratch, y) y += layer(x), as residual streams want it
//   trains   Cache                      what backward needs of the forward pass; one per window
//            add_forward(x, cache, scratch, y)
//            backward(x, dy, cache, scratch, grad, dx)   adds to `grad`, a layer; overwrites dx
//            initialize(scale, rng)     random weights
//            parameters()               see parameters.hpp
namespace icrl {

/// The standard deviations of random weights.
struct WeightScale {
  double inner;     ///< of weights in general
  double residual;  ///< of weights that write into a residual stream, which adds up over the layers
};

/// Memory that a layer does not need.
struct NoMemory {};

/// Something that acts as a layer; the protocol is at the top of this header.
template <typename L>
concept Layer = requires(const L& layer, Matrix<typename L::Scalar>& rows, typename L::Scratch& scratch) {
  { layer.input_size() } -> std::convertible_to<Index>;
  { layer.output_size() } -> std::convertible_to<Index>;
  layer.reserve(scratch, Index{1});
  layer.add_forward(rows, scratch, rows);
};

/// A layer that can be trained, too.
template <typename L>
concept TrainableLayer = Layer<L> && Parameterized<L> && std::copyable<L> &&
    requires(const L& layer, L& other, Matrix<typename L::Scalar>& rows, typename L::Cache& cache,
             typename L::Scratch& scratch, Rng& rng) {
  layer.add_forward(rows, cache, scratch, rows);
  layer.backward(rows, rows, std::as_const(cache), scratch, other, rows);
  other.initialize(WeightScale{}, rng);
};

/// A layer that is one map of `in` to `out` numbers, y = x W + b in some form, and can also overwrite y.
template <typename L>
concept LinearMap = Layer<L> && std::constructible_from<L, Index, Index> &&
    requires(const L& map, Matrix<typename L::Scalar>& rows, typename L::Scratch& scratch) {
  map.forward(rows, scratch, rows);
};

/// A linear map that can be trained, and can overwrite y in training, too.
template <typename L>
concept TrainableLinearMap = LinearMap<L> && TrainableLayer<L> &&
    requires(const L& map, Matrix<typename L::Scalar>& rows, typename L::Cache& cache, typename L::Scratch& scratch) {
  map.forward(rows, cache, scratch, rows);
};

/// A layer that may stand between the attentions of a transformer: `width` numbers in, `width` numbers out.
template <typename F>
concept FeedForwardLayer = Layer<F> && std::constructible_from<F, Index, Index>;

namespace detail {

/// The caches of layers that cannot be trained.
template <typename L>
struct CacheOf {
  using Type = NoMemory;
};
template <typename L>
requires requires { typename L::Cache; }
struct CacheOf<L> {
  using Type = typename L::Cache;
};

}  // namespace detail

/// The cache of a layer; NoMemory if it cannot be trained.
template <typename L>
using LayerCache = typename detail::CacheOf<L>::Type;

}  // namespace icrl
