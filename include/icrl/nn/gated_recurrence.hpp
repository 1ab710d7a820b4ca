// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/nn/linear.hpp>

namespace icrl {

/// A gated linear recurrence, which summarizes a stream of any length in a state of N numbers (Feng et al., 2024, "Were
/// RNNs all we needed?", section 3.1.3), with an output gate as an LSTM has:
///   (a, v, g) = x W + b,  z = sigmoid(a),  h = (1 - z) * h_before + z * v,  y += (sigmoid(g) * h) Out + c
/// a, v and g do not depend on the state, so all products of a window are computed at once.
template <std::floating_point S>
struct GatedRecurrence {
  using Scalar = S;

  Linear<S> in;   ///< (C, 3N) = update gates | values | output gates
  Linear<S> out;  ///< (N, C)

  /// The results of the forward pass that backward needs.
  struct Cache {
    Matrix<S> gates;   ///< (T, 3N): z, v, sigmoid(g)
    Matrix<S> states;  ///< (T, N): h
    Matrix<S> read;    ///< (T, N): sigmoid(g) * h
  };
  /// Temporary memory of one call.
  struct Scratch {
    Matrix<S> dgates;  ///< (T, 3N)
    Matrix<S> dread;   ///< (T, N)
  };
  /// The same for passes that act.
  struct StreamScratch {
    Matrix<S> gates, read;  ///< (streams, 3N), (streams, N)
  };

  /// All weights are zero.
  GatedRecurrence(Index width, Index state_size) : in{width, 3 * state_size}, out{state_size, width} {}

  /// Numbers of the state, N.
  [[nodiscard]] Index state_size() const { return out.input_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t state_size) {
    return Linear<S>::weight_count(width, 3 * state_size) + Linear<S>::weight_count(state_size, width);
  }

  /// y += layer(x), from a state of zeros on. x, y (T, C).
  void add_forward(MatrixIn<S> x, Cache& cache, MatrixOut<S> y) const {
    const Index steps = x.rows(), n = state_size();
    reserve_rows(cache.gates, steps, 3 * n);
    reserve_rows(cache.states, steps, n);
    reserve_rows(cache.read, steps, n);
    in.forward(x, cache.gates.topRows(steps));
    for (Index t = 0; t < steps; ++t) {
      S* const h = &cache.states(t, 0);
      if (t == 0) {
        std::fill_n(h, n, S(0));
      } else {
        std::copy_n(&cache.states(t - 1, 0), n, h);
      }
      advance(&cache.gates(t, 0), h, &cache.read(t, 0));
    }
    out.add_forward(cache.read.topRows(steps), y);
  }

  /// Adds to `grad`, overwrites dx. x is what forward was given, dy the derivative of what it added. With dh the
  /// derivative with respect to a state, through y and through the next state:
  ///   dv = dh z,  dz = dh (v - h_before),  dh_before = dh (1 - z),  da = dz z (1 - z),  dg = dread h s (1 - s)
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, GatedRecurrence& grad,
                MatrixOut<S> dx) const {
    const Index steps = x.rows(), n = state_size();
    reserve_rows(scratch.dgates, steps, 3 * n);
    reserve_rows(scratch.dread, steps + 1, n);
    out.backward(cache.read.topRows(steps), dy, grad.out, scratch.dread.topRows(steps));
    // The row behind the last carries dh back from step to step.
    S* const dh = &scratch.dread(scratch.dread.rows() - 1, 0);
    std::fill_n(dh, n, S(0));
    for (Index t = steps; t-- > 0;) {
      const S *const z = &cache.gates(t, 0), *const v = z + n, *const s = v + n, *const h = &cache.states(t, 0);
      const S* const before = t == 0 ? nullptr : &cache.states(t - 1, 0);
      const S* const dread = &scratch.dread(t, 0);
      S *const da = &scratch.dgates(t, 0), *const dv = da + n, *const dg = dv + n;
      for (Index i = 0; i < n; ++i) {
        const S d = dh[i] + dread[i] * s[i], previous = before == nullptr ? S(0) : before[i];
        dv[i] = d * z[i];
        da[i] = d * (v[i] - previous) * z[i] * (S(1) - z[i]);
        dg[i] = dread[i] * h[i] * s[i] * (S(1) - s[i]);
        dh[i] = d * (S(1) - z[i]);
      }
    }
    in.backward(x, scratch.dgates.topRows(steps), grad.in, dx);
  }

  void reserve(StreamScratch& scratch, Index streams) const {
    reserve_rows(scratch.gates, streams, 3 * state_size());
    reserve_rows(scratch.read, streams, state_size());
  }

  /// One step of every stream: x, y (streams, C). `states` points to N numbers per stream, zeros at its start.
  void step(MatrixIn<S> x, std::span<S* const> states, StreamScratch& scratch, MatrixOut<S> y) const {
    reserve(scratch, x.rows());
    in.forward(x, scratch.gates.topRows(x.rows()));
    for (Index i = 0; i < x.rows(); ++i)
      advance(&scratch.gates(i, 0), states[static_cast<std::size_t>(i)], &scratch.read(i, 0));
    out.add_forward(scratch.read.topRows(x.rows()), y);
  }

  /// Normal weights. Update gates are biased so that the units' memories reach back about 1 .. `longest` steps, evenly
  /// in the logarithm (as in Tallec & Ollivier, 2018, section 2).
  void initialize(const WeightScale& scale, double longest, Rng& rng) {
    in.initialize(scale, rng);
    out.initialize(scale.residual, rng);
    const Index n = state_size();
    for (Index i = 0; i < n; ++i) {
      const double steps = std::pow(longest, (static_cast<double>(i) + 1) / static_cast<double>(n));
      in.bias(i) = static_cast<S>(-std::log(std::max(steps - 1, 1e-2)));
    }
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"in", &GatedRecurrence::in}, Field{"out", &GatedRecurrence::out}};
  }

private:
  /// The step of one stream: `gates` hold a, v and g on entry and z, v and sigmoid(g) on return; `h` becomes the next
  /// state.
  void advance(S* gates, S* h, S* read) const {
    const Index n = state_size();
    for (Index i = 0; i < n; ++i) {
      const S z = sigmoid(gates[i]), s = sigmoid(gates[2 * n + i]);
      gates[i] = z;
      gates[2 * n + i] = s;
      h[i] += z * (gates[n + i] - h[i]);
      read[i] = s * h[i];
    }
  }

  static S sigmoid(S x) { return S(1) / (S(1) + std::exp(-x)); }
};

}  // namespace icrl
