// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/env/space_labels.hpp>
#include <icrl/io/config_text.hpp>
#include <icrl/io/safetensors_writer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/tensors.hpp>

// A model file, version 1, is a safetensors file with a checksum (see safetensors_writer.hpp):
//   1. "__metadata__" has "icrl.model": the model's kind, such as "causal_transformer"; "icrl.format_version": "1";
//      "icrl.config" and "icrl.layout": the configuration (sizes, reward scale, which windows it was trained on) and
//      how steps are laid out (spaces, closing token), as JSON (see config_text.hpp). It may have "icrl.spaces": names,
//      units and scales of observations and actions, as JSON. Keys without "icrl." are the user's
//   2. one tensor per entry of `tensors_of(model)`, under its name ("blocks.0.attention.qkv.weight"), each of its own
//      element type. Matrices have two sizes, rows and columns, vectors have one
namespace icrl {

namespace detail {

struct ModelFormat {
  static constexpr int version = 1;
  static constexpr std::string_view reserved = "icrl.";
  static constexpr const char *kind_key = "icrl.model", *version_key = "icrl.format_version",
                              *config_key = "icrl.config", *layout_key = "icrl.layout", *labels_key = "icrl.spaces";
};

template <typename S>
concept FileScalar = std::same_as<S, float> || std::same_as<S, double>;

template <FileScalar S>
void require_finite(const TensorView& tensor, std::string_view what) {
  for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(S); ++i) {
    S number;
    std::memcpy(&number, tensor.bytes.data() + i * sizeof(S), sizeof(S));
    if (!std::isfinite(number))
      fail("{}: not written because of {}: number {} is {}, it must be finite", what, tensor.name, i, number);
  }
}

}  // namespace detail

/// A model that can be saved: its configuration lists its fields, and its tensors can be listed.
template <typename M>
concept SavableModel = SequenceModel<M> && HasFields<ConfigOf<M>> && HasWeights<M>;

/// Replaces the file completely, or leaves it unchanged on failure. `metadata` is stored with the model; its keys may
/// not begin with "icrl.". `labels` describe observations and actions; empty ones are not written. Throws Error for a
/// weight that is not finite, because such a model is unusable, and for labels that do not fit the model's spaces.
template <SavableModel M>
void save_model(const M& model, const std::filesystem::path& path, Metadata metadata = {},
                const SpaceLabels& labels = {}) {
  using Format = detail::ModelFormat;
  const std::string what = fmt::format("model file \"{}\"", path.string());
  for (const auto& [key, text] : metadata)
    if (key.starts_with(Format::reserved)) fail("{}: the metadata's key {} is reserved", what, key);
  metadata[Format::kind_key] = M::kind;
  metadata[Format::version_key] = fmt::format("{}", Format::version);
  metadata[Format::config_key] = json_text(model.config).text();
  metadata[Format::layout_key] = json_text(model.layout).text();
  if (!labels.empty()) {
    validate(labels, model.layout.observation_space, model.layout.action_space, what);
    metadata[Format::labels_key] = json_text(labels).text();
  }
  const std::vector<TensorView> tensors = tensors_of(model);
  for (const TensorView& tensor : tensors) {
    if (tensor.dtype == dtype_of<float>) detail::require_finite<float>(tensor, what);
    if (tensor.dtype == dtype_of<double>) detail::require_finite<double>(tensor, what);
  }
  write_safetensors(path, tensors, metadata);
}

}  // namespace icrl
