// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/io/config_text.hpp>
#include <icrl/io/safetensors_writer.hpp>
#include <icrl/model/causal_transformer.hpp>

// A model file, version 1, is a safetensors file with a checksum (see safetensors_writer.hpp):
//   1. "__metadata__" has "icrl.model": "causal_transformer"; "icrl.format_version": "1"; "icrl.config" and
//      "icrl.layout": the configuration (sizes, reward scale, which windows it was trained on) and how steps are laid
//      out (spaces, closing token), as JSON (see config_text.hpp). Keys without "icrl." are the user's
//   2. one tensor a weight, under its name in the list of parameters ("blocks.0.attention.qkv.weight"), all F32 or F64.
//      Matrices have two sizes, rows and columns, vectors have one
namespace icrl {

namespace detail {

struct ModelFormat {
  static constexpr int version = 1;
  static constexpr std::string_view kind = "causal_transformer";
  static constexpr std::string_view reserved = "icrl.";
  static constexpr const char *kind_key = "icrl.model", *version_key = "icrl.format_version",
                              *config_key = "icrl.config", *layout_key = "icrl.layout";
};

template <typename S>
concept FileScalar = std::same_as<S, float> || std::same_as<S, double>;

template <FileScalar S>
inline constexpr std::string_view dtype_of = std::same_as<S, float> ? "F32" : "F64";

template <typename S>
[[nodiscard]] std::vector<std::uint64_t> shape_of(const Parameter<S>& p) {
  const auto rows = static_cast<std::uint64_t>(p.rows), columns = static_cast<std::uint64_t>(p.columns);
  return p.is_matrix ? std::vector{rows, columns} : std::vector{columns};
}

}  // namespace detail

/// Replaces the file as a whole or, where that fails, not at all. `metadata` is kept with the model; its keys may not
/// begin with "icrl.". Throws Error for a weight that is not finite: such a model can do nothing.
template <detail::FileScalar S>
void save_model(const CausalTransformer<S>& model, const std::filesystem::path& path, Metadata metadata = {}) {
  using Format = detail::ModelFormat;
  const std::string what = fmt::format("model file \"{}\"", path.string());
  for (const auto& [key, text] : metadata)
    if (key.starts_with(Format::reserved)) fail("{}: the metadata's key {} is reserved", what, key);
  metadata[Format::kind_key] = Format::kind;
  metadata[Format::version_key] = fmt::format("{}", Format::version);
  metadata[Format::config_key] = json_text(model.config).text();
  metadata[Format::layout_key] = json_text(model.layout).text();
  std::vector<TensorView> tensors;
  for (const Parameter<const S>& p : parameters_of(model)) {
    const std::span<const S> numbers = p.numbers();
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (!std::isfinite(numbers[i])) fail("{}: not written, {}: number {} is {}", what, p.name, i, numbers[i]);
    tensors.push_back({.name = p.name,
                       .dtype = std::string{detail::dtype_of<S>},
                       .shape = detail::shape_of(p),
                       .bytes = std::as_bytes(numbers)});
  }
  write_safetensors(path, tensors, metadata);
}

}  // namespace icrl
