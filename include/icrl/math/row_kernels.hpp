// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

#include <icrl/math/packet.hpp>

// Loops over one row (one token), vectorised over packets with a scalar tail.
namespace icrl {

/// y = gain * x + bias, number by number.
template <typename S>
void scale_row(const S* x, const S* gain, const S* bias, Index size, S* y) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  for (Index i = 0; i < whole; i += lanes<S>)
    store(y + i, multiply_add<S>(load(x + i), load(gain + i), load(bias + i)));
  for (Index i = whole; i < size; ++i) y[i] = multiply_add_one(x[i], gain[i], bias[i]);
}

/// x_hat = (x - mean) * inverse_stddev. Returns inverse_stddev. `size` numbers.
template <typename S>
S standardise_row(const S* x, Index size, S epsilon, S* x_hat) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  const S share = S(1) / static_cast<S>(size);
  Packet<S> total{};
  S tail = 0;
  for (Index i = 0; i < whole; i += lanes<S>) total += load(x + i);
  for (Index i = whole; i < size; ++i) tail += x[i];
  const S mean = (sum<S>(total) + tail) * share;

  Packet<S> squares{};
  S tail_squares = 0;
  for (Index i = 0; i < whole; i += lanes<S>) {
    const Packet<S> centered = load(x + i) - mean;
    squares += centered * centered;
    store(x_hat + i, centered);
  }
  for (Index i = whole; i < size; ++i) {
    x_hat[i] = x[i] - mean;
    tail_squares += x_hat[i] * x_hat[i];
  }
  const S variance = (sum<S>(squares) + tail_squares) * share;
  // A variance that overflows must not make zeros of a row, which nobody would notice.
  const S inverse_stddev =
      std::isfinite(variance) ? S(1) / std::sqrt(variance + epsilon) : std::numeric_limits<S>::quiet_NaN();

  for (Index i = 0; i < whole; i += lanes<S>) store(x_hat + i, load(x_hat + i) * inverse_stddev);
  for (Index i = whole; i < size; ++i) x_hat[i] *= inverse_stddev;
  return inverse_stddev;
}

/// y = gain * x_hat + bias with x_hat as `standardise_row` gives it. Returns inverse_stddev. All rows have `size`
/// numbers.
template <typename S>
S normalize_row(const S* x, const S* gain, const S* bias, Index size, S epsilon, S* x_hat, S* y) {
  const S inverse_stddev = standardise_row(x, size, epsilon, x_hat);
  scale_row(x_hat, gain, bias, size, y);
  return inverse_stddev;
}

/// Derivative of `normalize_row`. Adds to dgain and dbias; adds to dx if `add_to_dx`, else overwrites it. With g = dy
/// * gain:
///   dx = (g - mean(g) - x_hat * mean(g * x_hat)) * inverse_stddev
template <typename S>
void normalize_row_backward(const S* dy, const S* x_hat, S inverse_stddev, const S* gain, Index size, S* dgain,
                            S* dbias, S* dx, bool add_to_dx) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  Packet<S> sum_g{}, sum_gx{};
  S tail_g = 0, tail_gx = 0;
  for (Index i = 0; i < whole; i += lanes<S>) {
    const Packet<S> d = load(dy + i), hat = load(x_hat + i), g = d * load(gain + i);
    store(dbias + i, load(dbias + i) + d);
    store(dgain + i, load(dgain + i) + d * hat);
    sum_g += g;
    sum_gx += g * hat;
  }
  for (Index i = whole; i < size; ++i) {
    dbias[i] += dy[i];
    dgain[i] += dy[i] * x_hat[i];
    tail_g += dy[i] * gain[i];
    tail_gx += dy[i] * gain[i] * x_hat[i];
  }
  const S mean_g = (sum<S>(sum_g) + tail_g) / static_cast<S>(size);
  const S mean_gx = (sum<S>(sum_gx) + tail_gx) / static_cast<S>(size);
  for (Index i = 0; i < whole; i += lanes<S>) {
    const Packet<S> d = (load(dy + i) * load(gain + i) - mean_g - load(x_hat + i) * mean_gx) * inverse_stddev;
    store(dx + i, add_to_dx ? load(dx + i) + d : d);
  }
  for (Index i = whole; i < size; ++i) {
    const S d = (dy[i] * gain[i] - mean_g - x_hat[i] * mean_gx) * inverse_stddev;
    dx[i] = add_to_dx ? dx[i] + d : d;
  }
}

/// x becomes e^(scale * (x - largest x)) over the first `count` of `padded_count` numbers, the rest become 0. Returns
/// 1 / their sum. `padded_count` is a whole number of packets. At least one number.
template <typename S>
S exponentiate_row(S* x, Index count, Index padded_count, S scale) {
  using namespace detail;
  for (Index i = count - count % lanes<S>; i < padded_count; i += lanes<S>)
    store(x + i, first_lanes<S>(load(x + i), count - i, -std::numeric_limits<S>::infinity()));
  Packet<S> most = load(x);
  for (Index i = lanes<S>; i < padded_count; i += lanes<S>) {
    const Packet<S> value = load(x + i);
    most = value > most ? value : most;
  }
  const S shift = largest<S>(most);
  Packet<S> total{};
  for (Index i = 0; i < padded_count; i += lanes<S>) {
    const Packet<S> e = exp((load(x + i) - shift) * scale);  // 0 for the largest, whatever its size
    total += e;
    store(x + i, e);
  }
  return S(1) / sum<S>(total);
}

/// Softmax in place over the first `count` of `padded_count` numbers, each first multiplied by `scale`; the rest become
/// 0. `padded_count` is a whole number of packets. At least one number.
template <typename S>
void softmax_row(S* x, Index count, Index padded_count, S scale) {
  using namespace detail;
  const S inverse = exponentiate_row(x, count, padded_count, scale);
  for (Index i = 0; i < padded_count; i += lanes<S>) store(x + i, load(x + i) * inverse);
}

/// Derivative of `softmax_row`, in place: d holds the derivative of the probabilities p on entry and of the unscaled
/// scores on return, p * (d - mean) * scale, where mean = sum(d * p). `padded_count` is a whole number of packets.
template <typename S>
void softmax_row_backward(const S* p, Index padded_count, S scale, S mean, S* d) {
  using namespace detail;
  for (Index i = 0; i < padded_count; i += lanes<S>) store(d + i, load(p + i) * scale * (load(d + i) - mean));
}

/// The sum of a[i] * b[i].
template <typename S>
S dot(const S* a, const S* b, Index size) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  Packet<S> total{};
  S tail = 0;
  for (Index i = 0; i < whole; i += lanes<S>) total += load(a + i) * load(b + i);
  for (Index i = whole; i < size; ++i) tail += a[i] * b[i];
  return sum<S>(total) + tail;
}

namespace detail {

/// GELU(x) in its tanh form, x * sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3) (Hendrycks & Gimpel, 2016), and its
/// derivative. sigmoid_of(-2u * unit) gives the sigmoid.
template <typename S, typename Sigmoid>
inline Packet<S> gelu(const Packet<S>& x, Packet<S>& slope, S unit, Sigmoid&& sigmoid_of) {
  constexpr S k = S(1.5957691216057308), cubic = S(0.044715);
  const Packet<S> x2 = x * x;
  const Packet<S> sigmoid = sigmoid_of(x * multiply_add<S>(x2, broadcast(-cubic * k * unit), broadcast(-k * unit)));
  const Packet<S> value = x * sigmoid;
  const Packet<S> slope_of_u = multiply_add<S>(x2, broadcast(3 * cubic * k), broadcast(k));
  slope = multiply_add<S>(value * (S(1) - sigmoid), slope_of_u, sigmoid);
  return value;
}
template <typename S>
inline Packet<S> gelu(const Packet<S>& x, Packet<S>& slope) {
  return gelu<S>(x, slope, S(1), [](const Packet<S>& u) { return reciprocal<S>(S(1) + exp(u)); });
}

}  // namespace detail

/// y = GELU(y), see `detail::gelu`.
template <typename S>
void gelu_row(S* y, Index size) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  Packet<S> slope;
  for (Index i = 0; i < whole; i += lanes<S>) store(y + i, gelu<S>(load(y + i), slope));
  for (Index i = whole; i < size; ++i) y[i] = gelu<S>(broadcast(y[i]), slope)[0];
}

/// The same, and `slope` receives the derivative, which is all that the backward pass needs.
template <typename S>
void gelu_row(S* y, S* slope, Index size) {
  using namespace detail;
  const Index whole = size - size % lanes<S>;
  Packet<S> d;
  for (Index i = 0; i < whole; i += lanes<S>) {
    store(y + i, gelu<S>(load(y + i), d));
    store(slope + i, d);
  }
  for (Index i = whole; i < size; ++i) {
    y[i] = gelu<S>(broadcast(y[i]), d)[0];
    slope[i] = d[0];
  }
}

/// total += the sum of x's rows: a bias's gradient.
template <typename S>
void add_column_sums(MatrixIn<S> x, RowVector<S>& total) {
  S* to = total.data();
  const Index size = x.cols();
  Index c = 0;
  for (; c + 4 * detail::lanes<S> <= size; c += 4 * detail::lanes<S>) {
    detail::Packet<S> sums[4];
    for (Index p = 0; p < 4; ++p) sums[p] = detail::load(to + c + p * detail::lanes<S>);
    for (Index r = 0; r < x.rows(); ++r)
      for (Index p = 0; p < 4; ++p) sums[p] += detail::load(x.data() + r * x.outerStride() + c + p * detail::lanes<S>);
    for (Index p = 0; p < 4; ++p) detail::store(to + c + p * detail::lanes<S>, sums[p]);
  }
  for (Index r = 0; r < x.rows() && c < size; ++r)
    for (Index i = c; i < size; ++i) to[i] += x(r, i);
}

}  // namespace icrl
