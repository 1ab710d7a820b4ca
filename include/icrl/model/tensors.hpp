// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/core/tensor_view.hpp>
#include <icrl/nn/parameters.hpp>

// The tensors of a model as files and fingerprints know them. They are its parameters, unless a layer says otherwise:
// a layer whose tensors have several element types, or are not trained, lists them as `parameters()` does.
//
//   struct Int8Linear {
//     Matrix<std::int8_t> weight;
//     RowVector<float> scale;
//     static constexpr auto tensors() {
//       return std::tuple{Field{"weight", &Int8Linear::weight}, Field{"scale", &Int8Linear::scale}};
//     }
//   };
namespace icrl {

/// A type with a static `tensors()` that returns the tuple of its fields: tensors, vectors of plain numbers, layers, or
/// vectors of layers.
template <typename T>
concept HasTensors = requires {
  std::remove_cvref_t<T>::tensors();
};

/// A model that lists its tensors itself, because its layers are not types that can be seen here.
template <typename T>
concept ListsTensors = requires(const T& model) {
  { model.tensor_list() } -> std::same_as<std::vector<TensorView>>;
};

/// A type whose tensors can be listed.
template <typename T>
concept HasWeights = HasTensors<T> || Parameterized<T> || ListsTensors<T>;

namespace detail {

template <typename T>
[[nodiscard]] TensorView tensor_view(std::string name, std::vector<std::uint64_t> shape, std::span<const T> numbers) {
  static_assert(!dtype_of<T>.empty(), "tensors: files know no such element type; specialize icrl::dtype_of for it");
  return {.name = std::move(name),
          .dtype = std::string{dtype_of<T>},
          .shape = std::move(shape),
          .bytes = std::as_bytes(numbers)};
}

template <typename T>
void list_tensors(const std::string& name, const T& part, std::vector<TensorView>& list) {
  const auto list_fields = [&](const auto&... field) {
    const std::string prefix = name.empty() ? "" : name + ".";
    (list_tensors(prefix + std::string{field.name}, part.*field.member, list), ...);
  };
  if constexpr (HasTensors<T>) {
    std::apply(list_fields, T::tensors());
  } else if constexpr (Parameterized<T>) {
    std::apply(list_fields, T::parameters());
  } else if constexpr (is_vector<T>) {
    if constexpr (std::is_arithmetic_v<typename T::value_type>) {
      list.push_back(tensor_view(name, {part.size()}, std::span<const typename T::value_type>{part}));
    } else {
      for (std::size_t i = 0; i < part.size(); ++i) list_tensors(name + "." + std::to_string(i), part[i], list);
    }
  } else {
    const auto rows = static_cast<std::uint64_t>(part.rows()), columns = static_cast<std::uint64_t>(part.cols());
    const bool is_matrix = T::RowsAtCompileTime != 1;
    list.push_back(
        tensor_view(name, is_matrix ? std::vector{rows, columns} : std::vector{columns},
                    std::span<const typename T::Scalar>{part.data(), static_cast<std::size_t>(part.size())}));
  }
}

}  // namespace detail

/// All tensors of a model or layer, in the order and with the names of its list of fields ("blocks.0.mlp.up.weight").
/// Valid as long as no tensor of it is replaced or resized.
template <HasWeights M>
[[nodiscard]] std::vector<TensorView> tensors_of(const M& model) {
  if constexpr (ListsTensors<M>) {
    return model.tensor_list();
  } else {
    std::vector<TensorView> list;
    detail::list_tensors("", model, list);
    return list;
  }
}
/// The same for a model that may be changed.
template <HasWeights M>
[[nodiscard]] std::vector<MutableTensorView> tensors_of(M& model) {
  std::vector<MutableTensorView> list;
  for (TensorView& tensor : tensors_of(std::as_const(model))) {
    auto* const begin = const_cast<std::byte*>(tensor.bytes.data());
    list.push_back(
        {std::move(tensor.name), std::move(tensor.dtype), std::move(tensor.shape), {begin, tensor.bytes.size()}});
  }
  return list;
}

}  // namespace icrl
