// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/io/config_json.hpp>
#include <icrl/io/safetensors.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/model/causal_transformer.hpp>

// save_model.hpp has the format.
namespace icrl {

/// What a model file says about its model.
struct ModelInfo {
  int format_version = 0;
  TransformerConfig config{};
  StepLayout layout{};
  std::int64_t weight_count = 0;
  Metadata metadata{};  ///< what its writer added
};

namespace detail {

/// Weights that a model of this kind has, without making one: a file is not believed until it holds about as many.
[[nodiscard]] inline std::int64_t expected_weight_count(const TransformerConfig& config, const StepLayout& layout) {
  const std::int64_t width = config.width, hidden = config.hidden_size();
  const auto rows = [](const Space& space, int extra_ids) {
    std::int64_t count = has_ids(space) ? 0 : value_count(space);
    for (const int ids : id_counts(space)) count += ids + extra_ids;
    return count;
  };
  const std::int64_t outputs = (has_ids(layout.action_space) ? 1 : 2) * rows(layout.action_space, 0);
  const std::int64_t positions = config.positions == PositionScheme::learned ? config.token_count() : 0;
  const std::int64_t embedding =
      rows(layout.observation_space, 0) + rows(layout.action_space, 1) + positions + StepFlag::count + 2;
  const std::int64_t block = 4 * width * width + 2 * width * hidden + 9 * width + hidden;
  return width * embedding + config.layer_count * block + 2 * width + (width + 1) * outputs;
}

/// The likely reason of a shape that does not fit: a size that the file's tensors do not have.
[[nodiscard]] inline std::string shape_hint(const SafetensorsFile& file, const TransformerConfig& config) {
  const auto first_size = [&](std::string_view name) -> std::uint64_t {
    for (const TensorView& tensor : file.tensors())
      if (tensor.name == name && !tensor.shape.empty()) return tensor.shape[0];
    return 0;
  };
  const auto hint = [](const char* name, std::uint64_t found, int expected) {
    const bool differs = found > 0 && found != static_cast<std::uint64_t>(expected);
    return differs ? fmt::format(" (trained with {} {}?)", name, found) : std::string{};
  };
  std::string text = hint("width", first_size("final_norm.gain"), config.width);
  if (text.empty()) text = hint("hidden", first_size("blocks.0.mlp.up.bias"), config.hidden_size());
  if (text.empty()) {
    text = hint("context", first_size("embedding.positions") / static_cast<std::uint64_t>(config.tokens_per_step()),
                config.context);
  }
  return text;
}

[[nodiscard]] inline const std::string& model_metadata(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) fail("{}: its metadata has no {} (is it a model of icrl?)", file.what(), key);
  return found->second;
}

/// Throws Error for a version that this build does not know.
[[nodiscard]] inline int format_version(const SafetensorsFile& file) {
  const std::string& text = model_metadata(file, ModelFormat::version_key);
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc{} || end != text.data() + text.size() || version < 1)
    fail("{}: format version \"{}\" is no version", file.what(), text);
  if (version > ModelFormat::version) {
    fail("{}: format version {}, this build reads up to {} (was it written by a newer icrl?)", file.what(), version,
         ModelFormat::version);
  }
  return version;
}

[[nodiscard]] inline ModelInfo model_info(const SafetensorsFile& file) {
  const std::string& kind = model_metadata(file, ModelFormat::kind_key);
  const int version = format_version(file);
  if (kind != ModelFormat::kind) fail("{}: holds a {}, not a {}", file.what(), kind, ModelFormat::kind);
  if (!file.has_checksum()) fail("{}: has no checksum (was it rewritten by another program?)", file.what());
  const auto read = [&](const char* key, auto from_json) {
    const std::string what = fmt::format("{}: {}", file.what(), key);
    return from_json(parse_json(model_metadata(file, key), what), what);
  };
  ModelInfo info{.format_version = version,
                 .config = read(ModelFormat::config_key, transformer_config_from_json),
                 .layout = read(ModelFormat::layout_key, step_layout_from_json)};
  const std::string_view known[] = {ModelFormat::kind_key, ModelFormat::version_key, ModelFormat::config_key,
                                    ModelFormat::layout_key};
  for (const auto& [key, text] : file.metadata()) {
    if (std::find(std::begin(known), std::end(known), key) != std::end(known)) continue;
    if (key.starts_with(ModelFormat::reserved)) fail("{}: unknown key {} in its metadata", file.what(), key);
    info.metadata.emplace(key, text);
  }
  for (const TensorView& tensor : file.tensors()) {
    const int bits = tensor.dtype == dtype_of<float> || tensor.dtype == dtype_of<double> ? dtype_bits(tensor.dtype) : 0;
    if (bits == 0) fail("{}: {} is {}, weights are F32 or F64", file.what(), tensor.name, tensor.dtype);
    info.weight_count += static_cast<std::int64_t>(tensor.bytes.size()) * 8 / bits;
  }
  return info;
}

/// Throws Error where a configuration wants far more memory than its file can fill. Lesser differences are left to the
/// comparison of shapes, which says more.
inline void expect_plausible_size(const SafetensorsFile& file, const ModelInfo& info) {
  const std::int64_t expected = expected_weight_count(info.config, info.layout);
  if (expected > 16 * info.weight_count + (1 << 20)) {
    fail("{}: holds {} weights, the configuration wants {}{}", file.what(), info.weight_count, expected,
         shape_hint(file, info.config));
  }
}

/// Converts the numbers of a file. Throws Error for one that is not finite, or too large for S.
template <FileScalar From, FileScalar S>
void read_numbers(const TensorView& tensor, const std::string& what, S* out) {
  for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(From); ++i) {
    From number;
    std::memcpy(&number, tensor.bytes.data() + i * sizeof(From), sizeof(From));
    if (!std::isfinite(number)) fail("{}: {}: number {} is {}", what, tensor.name, i, number);
    if constexpr (sizeof(From) > sizeof(S)) {
      if (std::abs(number) > static_cast<From>(std::numeric_limits<S>::max()))
        fail("{}: {}: number {} is {}, too large for {} bits", what, tensor.name, i, number, 8 * sizeof(S));
    }
    out[i] = static_cast<S>(number);
  }
}

template <FileScalar S>
void read_weights(const SafetensorsFile& file, CausalTransformer<S>& model) {
  std::map<std::string_view, const TensorView*> unread;
  for (const TensorView& tensor : file.tensors()) unread.emplace(tensor.name, &tensor);
  for (const Parameter<S>& p : parameters_of(model)) {
    const auto shape = shape_of(p);
    const auto found = unread.find(p.name);
    if (found == unread.end()) {
      fail("{}: {} is missing, the configuration wants {}{}", file.what(), p.name, to_string(shape),
           shape_hint(file, model.config));
    }
    const TensorView& tensor = *found->second;
    if (tensor.shape != shape) {
      fail("{}: {} is {}, the configuration wants {}{}", file.what(), p.name, to_string(tensor.shape), to_string(shape),
           shape_hint(file, model.config));
    }
    if (tensor.dtype == dtype_of<float>) {
      read_numbers<float>(tensor, file.what(), p.data);
    } else {
      read_numbers<double>(tensor, file.what(), p.data);
    }
    unread.erase(found);
  }
  if (!unread.empty()) {
    fail("{}: {} is no weight of the configuration (layers {}, {} of {})", file.what(), unread.begin()->first,
         model.config.layer_count, to_short_string(model.layout.observation_space),
         to_short_string(model.layout.action_space));
  }
}

}  // namespace detail

/// Reads a model, of either precision into either. Throws Error for a file that is damaged, newer, of another kind, or
/// whose weights are not the configuration's.
template <detail::FileScalar S>
[[nodiscard]] CausalTransformer<S> load_model(const std::filesystem::path& path) {
  const SafetensorsFile file{path, "model file"};
  const ModelInfo info = detail::model_info(file);
  detail::expect_plausible_size(file, info);
  CausalTransformer<S> model{info.config, info.layout};
  detail::read_weights(file, model);
  return model;
}

/// What a model file says about itself, without making the model.
[[nodiscard]] inline ModelInfo read_model_info(const std::filesystem::path& path) {
  return detail::model_info(SafetensorsFile{path, "model file"});
}

}  // namespace icrl
