// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// One named member of a layer: a weight tensor, a layer, or a vector of either.
template <typename Layer, typename Member>
struct Field {
  std::string_view name;  ///< in paths such as "blocks.0.attention"
  Member Layer::*member;  ///< where the layer has it
};
/// So that Field{"weight", &Linear::weight} is complete.
template <typename Layer, typename Member>
Field(const char*, Member Layer::*) -> Field<Layer, Member>;

/// A Field whose weights are not trained, such as the base of a low-rank adapter: they are saved and loaded as all are,
/// but no update changes them, they do not decay and they have no moments. A gradient has memory for them, so that a
/// layer's backward may write there, but it is never read.
template <typename Layer, typename Member>
struct Frozen {
  std::string_view name;  ///< as in Field
  Member Layer::*member;  ///< as in Field
};
/// As for Field.
template <typename Layer, typename Member>
Frozen(const char*, Member Layer::*) -> Frozen<Layer, Member>;

/// A type with a static `parameters()` that returns the tuple of its fields.
template <typename T>
concept Parameterized = requires {
  std::remove_cvref_t<T>::parameters();
};

/// The same type, const or not.
template <typename T, typename U>
concept SameLayerAs = std::same_as<std::remove_const_t<T>, std::remove_const_t<U>>;

/// One weight tensor of a layer, in place. Valid as long as no tensor of the layer is replaced or resized.
template <typename S>
struct Parameter {
  std::string name;        ///< its path, such as "blocks.0.attention.qkv.weight"
  S* data;                 ///< the first number
  Index rows, columns;     ///< a RowVector has one row
  bool is_matrix;          ///< or else a RowVector, which has one row
  bool is_trained = true;  ///< or else it lies in a Frozen field

  /// All numbers, row by row.
  [[nodiscard]] std::span<S> numbers() const { return {data, static_cast<std::size_t>(rows * columns)}; }

  /// The type of a view of the tensor.
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<S>, const Matrix<std::remove_const_t<S>>, Matrix<S>>>;
  /// A view of the tensor as a matrix.
  [[nodiscard]] Map map() const { return {data, rows, columns}; }
};

namespace detail {

template <typename T>
inline constexpr bool is_vector = false;
template <typename T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <typename T>
inline constexpr bool is_frozen = false;
template <typename Layer, typename Member>
inline constexpr bool is_frozen<Frozen<Layer, Member>> = true;

/// The type of the numbers of a tensor, or of the first tensor of a layer or a vector; void where there is none.
template <typename T>
struct ScalarOf {
  using Type = typename T::Scalar;
};
template <typename T>
struct ScalarOf<std::vector<T>> : ScalarOf<T> {};
template <typename Layer, typename Member>
struct ScalarOf<Field<Layer, Member>> : ScalarOf<Member> {};
template <typename Layer, typename Member>
struct ScalarOf<Frozen<Layer, Member>> : ScalarOf<Member> {};
template <Parameterized Layer>
struct ScalarOf<Layer> : ScalarOf<decltype(Layer::parameters())> {};
template <>
struct ScalarOf<std::tuple<>> {
  using Type = void;
};
template <typename First, typename... Rest>
struct ScalarOf<std::tuple<First, Rest...>> {
  using OfFirst = typename ScalarOf<First>::Type;
  using Type = std::conditional_t<std::is_void_v<OfFirst>, typename ScalarOf<std::tuple<Rest...>>::Type, OfFirst>;
};

template <typename S, typename T>
void list_parameters(const std::string& name, const T& part, bool is_trained, std::vector<Parameter<const S>>& list) {
  if constexpr (Parameterized<T>) {
    const std::string prefix = name.empty() ? "" : name + ".";
    std::apply(
        [&](const auto&... field) {
          (list_parameters(prefix + std::string{field.name}, part.*field.member,
                           is_trained && !is_frozen<std::remove_cvref_t<decltype(field)>>, list),
           ...);
        },
        T::parameters());
  } else if constexpr (is_vector<T>) {
    for (std::size_t i = 0; i < part.size(); ++i)
      list_parameters(name + "." + std::to_string(i), part[i], is_trained, list);
  } else {
    static_assert(std::same_as<typename T::Scalar, S>, "parameters: the tensors of a layer have one type of numbers");
    list.push_back({name, part.data(), part.rows(), part.cols(), T::RowsAtCompileTime != 1, is_trained});
  }
}

template <typename T>
void release_frozen(T& part, bool is_trained) {
  if constexpr (Parameterized<T>) {
    std::apply(
        [&](const auto&... field) {
          (release_frozen(part.*field.member, is_trained && !is_frozen<std::remove_cvref_t<decltype(field)>>), ...);
        },
        T::parameters());
  } else if constexpr (is_vector<T>) {
    for (auto& one : part) release_frozen(one, is_trained);
  } else {
    if (!is_trained) part.resize(T::RowsAtCompileTime == 1 ? 1 : 0, 0);
  }
}

}  // namespace detail

/// The type of a layer's weights; float if it has none.
template <Parameterized Layer>
using ParameterScalar = std::conditional_t<std::is_void_v<typename detail::ScalarOf<std::remove_const_t<Layer>>::Type>,
                                           float, typename detail::ScalarOf<std::remove_const_t<Layer>>::Type>;

/// All weight tensors of a layer, in a fixed order. Use a plain loop over this list: a visitor would be compiled once
/// per layer and kind of tensor.
template <Parameterized Layer>
[[nodiscard]] std::vector<Parameter<const ParameterScalar<Layer>>> parameters_of(const Layer& layer) {
  std::vector<Parameter<const ParameterScalar<Layer>>> list;
  detail::list_parameters("", layer, /*is_trained*/ true, list);
  return list;
}
/// The same for a layer that may be changed.
template <Parameterized Layer>
[[nodiscard]] std::vector<Parameter<ParameterScalar<Layer>>> parameters_of(Layer& layer) {
  std::vector<Parameter<ParameterScalar<Layer>>> list;
  for (const auto& p : parameters_of(std::as_const(layer)))
    list.push_back({p.name, const_cast<ParameterScalar<Layer>*>(p.data), p.rows, p.columns, p.is_matrix, p.is_trained});
  return list;
}

namespace detail {

/// Whether two lists belong to layers of the same shape.
template <typename S, typename T>
bool have_one_shape(const std::vector<Parameter<S>>& a, const std::vector<Parameter<T>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& p, const auto& q) { return p.rows == q.rows && p.columns == q.columns; });
}

}  // namespace detail

/// Calls `visit(name, first.p, rest.p...)` for every weight tensor p, as a map of its rows and columns, in the order of
/// `parameters_of`.
template <typename Visit, Parameterized First, SameLayerAs<First>... Rest>
void for_each_parameter(Visit&& visit, First& first, Rest&... rest) {
  const auto list_all = [&](const auto& list, const auto&... others) {
    const auto visit_one = [&](const std::string& name, auto... tensors) { visit(std::string_view{name}, tensors...); };
    ICRL_ASSERT((detail::have_one_shape(list, others) && ...), "for_each_parameter: the layers have different shapes");
    for (std::size_t i = 0; i < list.size(); ++i) visit_one(list[i].name, list[i].map(), others[i].map()...);
  };
  list_all(parameters_of(first), parameters_of(rest)...);
}

/// Number of weights of a layer, frozen ones included.
template <Parameterized Layer>
[[nodiscard]] Index parameter_count(const Layer& layer) {
  Index count = 0;
  for (const auto& p : parameters_of(layer)) count += p.rows * p.columns;
  return count;
}

/// Sets all weights of a layer to zero, frozen ones included.
template <Parameterized Layer>
void set_zero(Layer& layer) {
  for (const auto& p : parameters_of(layer)) std::fill_n(p.data, p.rows * p.columns, ParameterScalar<Layer>(0));
}

/// Gives up the memory of all frozen weights: of moments, which have none.
template <Parameterized Layer>
void release_frozen(Layer& layer) {
  detail::release_frozen(layer, /*is_trained*/ true);
}

/// Copies only the numbers, so that pointers to the weights of `to` stay valid.
template <Parameterized M>
void copy_weights(const M& from, M& to) {
  const auto sources = parameters_of(from);
  const auto targets = parameters_of(to);
  ICRL_ASSERT(detail::have_one_shape(sources, targets), "copy_weights: the layers have different shapes");
  for (std::size_t i = 0; i < targets.size(); ++i)
    std::copy_n(sources[i].data, sources[i].rows * sources[i].columns, targets[i].data);
}

/// Fills a run of numbers, or a tensor, with independent normal numbers of mean 0.
template <typename S>
void fill_normal(std::span<S> numbers, double stddev, Rng& rng) {
  for (S& number : numbers) number = static_cast<S>(stddev * rng.normal());
}
/// The same for a tensor, such as a Matrix.
template <typename Tensor>
void fill_normal(Tensor& tensor, double stddev, Rng& rng) {
  fill_normal(std::span{tensor.data(), static_cast<std::size_t>(tensor.size())}, stddev, rng);
}

}  // namespace icrl
