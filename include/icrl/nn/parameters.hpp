// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// One named member of a layer: a weight tensor, a layer, or a vector of either.
template <typename Layer, typename Member>
struct Field {
  std::string_view name;
  Member Layer::*member;
};
template <typename Layer, typename Member>
Field(const char*, Member Layer::*) -> Field<Layer, Member>;

/// A type with a static `parameters()` that returns the tuple of its fields.
template <typename T>
concept Parameterized = requires {
  std::remove_cvref_t<T>::parameters();
};

template <typename T, typename U>
concept SameLayerAs = std::same_as<std::remove_const_t<T>, std::remove_const_t<U>>;

namespace detail {

template <typename T>
inline constexpr bool is_vector = false;
template <typename T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <typename Visit, typename First, typename... Rest>
void visit_parameters(Visit& visit, const std::string& name, First& first, Rest&... rest) {
  if constexpr (Parameterized<First>) {
    const auto visit_field = [&](const auto& field) {
      const std::string prefix = name.empty() ? "" : name + ".";
      visit_parameters(visit, prefix + std::string{field.name}, first.*field.member, rest.*field.member...);
    };
    std::apply([&](const auto&... field) { (visit_field(field), ...); }, std::remove_cvref_t<First>::parameters());
  } else if constexpr (is_vector<std::remove_cvref_t<First>>) {
    for (std::size_t i = 0; i < first.size(); ++i)
      visit_parameters(visit, name + "." + std::to_string(i), first[i], rest[i]...);
  } else {
    visit(std::string_view{name}, first, rest...);
  }
}

}  // namespace detail

/// Calls `visit(name, first.p, rest.p...)` for every weight tensor p (a Matrix or a RowVector), in a fixed order.
/// Names are paths such as "blocks.0.attention.qkv.weight".
template <typename Visit, Parameterized First, SameLayerAs<First>... Rest>
void for_each_parameter(Visit&& visit, First& first, Rest&... rest) {
  detail::visit_parameters(visit, "", first, rest...);
}

template <Parameterized Layer>
[[nodiscard]] Index parameter_count(const Layer& layer) {
  Index count = 0;
  for_each_parameter([&](std::string_view, const auto& p) { count += p.size(); }, layer);
  return count;
}

template <Parameterized Layer>
void set_zero(Layer& layer) {
  for_each_parameter([](std::string_view, auto& p) { p.setZero(); }, layer);
}

/// Fills a tensor with independent normal numbers of mean 0.
template <typename Tensor>
void fill_normal(Tensor& tensor, double stddev, Rng& rng) {
  using S = typename Tensor::Scalar;
  for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = static_cast<S>(stddev * rng.normal());
}

}  // namespace icrl
