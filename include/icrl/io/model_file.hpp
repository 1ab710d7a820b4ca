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
#include <vector>

#include <icrl/io/config_json.hpp>
#include <icrl/io/safetensors.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/fingerprint.hpp>

// save_model.hpp describes the format.
namespace icrl {

/// The description in the file of a model whose configuration is a `Config`.
template <HasFields Config>
struct ModelInfoOf {
  int format_version = 0;         ///< see save_model.hpp
  Config config{};                ///< the model's shape
  StepLayout layout{};            ///< what a row of its features holds
  std::int64_t weight_count = 0;  ///< numbers in all tensors
  SpaceLabels labels{};           ///< meaning of observations and actions, if the file has it
  Metadata metadata{};            ///< texts added by its writer
};
/// The description of a CausalTransformer.
using ModelInfo = ModelInfoOf<TransformerConfig>;

/// A model that can be loaded: it is constructed from its configuration and layout, and then its tensors are filled.
/// `weight_count` returns the number of weights without constructing the model, so that a damaged file cannot cause a
/// large allocation. It must accept any configuration whose fields lie in their ranges, and must not decrease if one of
/// them increases.
template <typename M>
concept LoadableModel = SavableModel<M> && std::constructible_from < M,
        const ConfigOf<M>
&, const StepLayout& > &&requires(const ConfigOf<M>& config, const StepLayout& layout) {
  { M::weight_count(config, layout) } -> std::convertible_to<std::int64_t>;
};

namespace detail {

[[nodiscard]] inline const std::string& model_metadata(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) fail("{}: its metadata has no {} (was it written by icrl?)", file.what(), key);
  return found->second;
}

/// Throws Error for a version that this build cannot read.
[[nodiscard]] inline int format_version(const SafetensorsFile& file) {
  const std::string& text = model_metadata(file, ModelFormat::version_key);
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc{} || end != text.data() + text.size() || version < 1)
    fail("{}: format version \"{}\" is not a valid version number", file.what(), text);
  if (version > ModelFormat::version) {
    fail("{}: format version {}, this build reads up to {} (was it written by a newer icrl?)", file.what(), version,
         ModelFormat::version);
  }
  return version;
}

template <LoadableModel M>
[[nodiscard]] ModelInfoOf<ConfigOf<M>> model_info(const SafetensorsFile& file) {
  const std::string& kind = model_metadata(file, ModelFormat::kind_key);
  const int version = format_version(file);
  if (kind != M::kind) fail("{}: holds a {}, not a {}", file.what(), kind, M::kind);
  if (!file.has_checksum()) fail("{}: has no checksum (was it rewritten by another program?)", file.what());
  const auto read = [&](const char* key, auto from_json) {
    const std::string what = fmt::format("{}: {}", file.what(), key);
    return from_json(parse_json(model_metadata(file, key), what), what);
  };
  ModelInfoOf<ConfigOf<M>> info{.format_version = version,
                                .config = read(ModelFormat::config_key, config_from_json<ConfigOf<M>>),
                                .layout = read(ModelFormat::layout_key, step_layout_from_json)};
  if (file.metadata().contains(ModelFormat::labels_key)) {
    info.labels = read(ModelFormat::labels_key, space_labels_from_json);
    validate(info.labels, info.layout.observation_space, info.layout.action_space, file.what());
  }
  const std::string_view known[] = {ModelFormat::kind_key, ModelFormat::version_key, ModelFormat::config_key,
                                    ModelFormat::layout_key, ModelFormat::labels_key};
  for (const auto& [key, text] : file.metadata()) {
    if (std::find(std::begin(known), std::end(known), key) != std::end(known)) continue;
    if (key.starts_with(ModelFormat::reserved)) fail("{}: unknown key {} in its metadata", file.what(), key);
    info.metadata.emplace(key, text);
  }
  for (const TensorView& tensor : file.tensors())
    info.weight_count += static_cast<std::int64_t>(tensor.bytes.size()) * 8 / dtype_bits(tensor.dtype);
  return info;
}

/// Whether a model has the tensors of a file, without comparing element types.
template <LoadableModel M>
[[nodiscard]] bool has_shapes_of(const M& model, const SafetensorsFile& file) {
  std::map<std::string_view, std::span<const std::uint64_t>> shapes;
  for (const TensorView& tensor : file.tensors()) shapes.emplace(tensor.name, tensor.shape);
  const auto tensors = tensors_of(model);
  return tensors.size() == shapes.size() && std::all_of(tensors.begin(), tensors.end(), [&](const TensorView& tensor) {
           const auto found = shapes.find(tensor.name);
           return found != shapes.end() &&
                  std::equal(found->second.begin(), found->second.end(), tensor.shape.begin(), tensor.shape.end());
         });
}

/// The likely reason why tensors do not fit: the one whole number of the configuration that would make all of them fit.
/// Both texts are empty if there is none.
struct SizeGuess {
  std::string present;  ///< "layers 2"
  std::string better;   ///< "trained with layer_count 4?"

  [[nodiscard]] std::string hint() const { return better.empty() ? better : " (" + better + ")"; }
};

template <typename Field>
inline constexpr bool is_int_field = false;
template <typename Config>
inline constexpr bool is_int_field<IntField<Config>> = true;

template <LoadableModel M>
[[nodiscard]] SizeGuess guess_size(const SafetensorsFile& file, const ModelInfoOf<ConfigOf<M>>& info) {
  using Config = ConfigOf<M>;
  SizeGuess guess;
  const auto try_field = [&](const auto& field) {
    Config config = info.config;
    int& value = config.*field.member;
    const auto count_with = [&](int tried) {
      value = tried;
      return static_cast<std::int64_t>(M::weight_count(config, info.layout));
    };
    // Finds the first value with as many weights as the file: by doubling, so that counts stay near the file's, then by
    // bisection.
    int low = std::max(field.min, 1), high = low;
    while (high < field.max && count_with(high) < info.weight_count) high = high > field.max / 2 ? field.max : 2 * high;
    while (low < high) {
      const int middle = low + (high - low) / 2;
      if (count_with(middle) < info.weight_count) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (count_with(low) != info.weight_count || low == info.config.*field.member) return;
    if (!has_shapes_of(M{config, info.layout}, file)) return;
    guess = {field_text(field, info.config), fmt::format("trained with {} {}?", field.key, low)};
  };
  for_each_field<Config>([&](const auto& field) {
    if constexpr (is_int_field<std::remove_cvref_t<decltype(field)>>) {
      try {
        if (guess.better.empty()) try_field(field);
      } catch (const Error&) {
        return;  // no model has a configuration that was tried
      }
    }
  });
  return guess;
}

/// Calls `make`, and adds the file's name to an Error, for example if configuration and layout do not fit each other.
template <typename Make>
[[nodiscard]] auto at_file(const SafetensorsFile& file, Make&& make) {
  try {
    return make();
  } catch (const Error& error) {
    fail("{}: {}", file.what(), error.what());
  }
}

/// Throws Error if a configuration needs far more memory than its file can fill. Smaller differences are left to the
/// comparison of shapes, which gives a better error.
template <LoadableModel M>
void check_plausible_size(const SafetensorsFile& file, const ModelInfoOf<ConfigOf<M>>& info) {
  const std::int64_t expected =
      at_file(file, [&] { return static_cast<std::int64_t>(M::weight_count(info.config, info.layout)); });
  if (expected > 16 * info.weight_count + (1 << 20)) {
    fail("{}: holds {} weights, the configuration needs {}{}", file.what(), info.weight_count, expected,
         guess_size<M>(file, info).hint());
  }
}

/// Converts the numbers of a file. Throws Error for a number that is not finite or too large for S.
template <FileScalar From, FileScalar S>
void read_numbers(const TensorView& tensor, const std::string& what, std::span<std::byte> out) {
  for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(From); ++i) {
    From number;
    std::memcpy(&number, tensor.bytes.data() + i * sizeof(From), sizeof(From));
    if (!std::isfinite(number)) fail("{}: {}: number {} is {}, it must be finite", what, tensor.name, i, number);
    if constexpr (sizeof(From) > sizeof(S)) {
      if (std::abs(number) > static_cast<From>(std::numeric_limits<S>::max()))
        fail("{}: {}: number {} is {}, which is too large for a float of {} bits", what, tensor.name, i, number,
             8 * sizeof(S));
    }
    const auto converted = static_cast<S>(number);
    std::memcpy(out.data() + i * sizeof(S), &converted, sizeof(S));
  }
}

/// Converts floating-point numbers; other numbers must have the element type of the model.
inline void read_tensor(const TensorView& tensor, const std::string& what, const MutableTensorView& target) {
  const std::string_view from = tensor.dtype, to = target.dtype, f32 = dtype_of<float>, f64 = dtype_of<double>;
  if (to != f32 && to != f64) {
    if (from != to) fail("{}: {} is {}, the model needs {}", what, tensor.name, from, to);
    std::copy(tensor.bytes.begin(), tensor.bytes.end(), target.bytes.begin());
  } else if (from == f32) {
    to == f32 ? read_numbers<float, float>(tensor, what, target.bytes)
              : read_numbers<float, double>(tensor, what, target.bytes);
  } else if (from == f64) {
    to == f32 ? read_numbers<double, float>(tensor, what, target.bytes)
              : read_numbers<double, double>(tensor, what, target.bytes);
  } else {
    fail("{}: {} is {}, the model needs F32 or F64", what, tensor.name, from);
  }
}

template <LoadableModel M>
void read_weights(const SafetensorsFile& file, const ModelInfoOf<ConfigOf<M>>& info, M& model) {
  std::map<std::string_view, const TensorView*> unread;
  for (const TensorView& tensor : file.tensors()) unread.emplace(tensor.name, &tensor);
  for (const MutableTensorView& target : tensors_of(model)) {
    const auto found = unread.find(target.name);
    if (found == unread.end()) {
      fail("{}: {} is missing, the configuration needs {}{}", file.what(), target.name, to_string(target.shape),
           guess_size<M>(file, info).hint());
    }
    const TensorView& tensor = *found->second;
    if (tensor.shape != target.shape) {
      fail("{}: {} is {}, the configuration needs {}{}", file.what(), target.name, to_string(tensor.shape),
           to_string(target.shape), guess_size<M>(file, info).hint());
    }
    read_tensor(tensor, file.what(), target);
    unread.erase(found);
  }
  if (!unread.empty()) {
    const SizeGuess guess = guess_size<M>(file, info);
    fail("{}: {} is not a weight of the configuration ({})", file.what(), unread.begin()->first,
         guess.better.empty() ? describe(model) : guess.present + ", " + guess.better);
  }
}

}  // namespace detail

/// Optional: a model that has work to do after its tensors were read from a file. It checks numbers that have ranges,
/// throws Error, which begins with `what`, for those outside, and computes what depends on the tensors.
template <typename M>
concept FinishesLoading = requires(M& model, const std::string& what) {
  model.finish_loading(what);
};

/// Reads a model of the given type, such as `load_model<CausalTransformer<float>>("a.safetensors")`. A file of floats
/// can be read into doubles, and one of doubles into floats. Throws Error for a file that is damaged, newer or of
/// another kind, or whose weights do not fit its configuration.
template <LoadableModel M>
[[nodiscard]] M load_model(const std::filesystem::path& path) {
  const SafetensorsFile file{path, "model file"};
  const auto info = detail::model_info<M>(file);
  detail::check_plausible_size<M>(file, info);
  M model = detail::at_file(file, [&] { return M{info.config, info.layout}; });
  detail::read_weights(file, info, model);
  if constexpr (FinishesLoading<M>) model.finish_loading(file.what());
  return model;
}

/// Reads a `CausalTransformer<S>`.
template <detail::FileScalar S>
[[nodiscard]] CausalTransformer<S> load_model(const std::filesystem::path& path) {
  return load_model<CausalTransformer<S>>(path);
}

/// Reads the description in a model file without creating the model.
template <LoadableModel M = CausalTransformer<float>>
[[nodiscard]] ModelInfoOf<ConfigOf<M>> read_model_info(const std::filesystem::path& path) {
  return detail::model_info<M>(SafetensorsFile{path, "model file"});
}

/// The kind of model in a file, such as "causal_transformer". Use it to choose the type for load_model.
[[nodiscard]] inline std::string read_model_kind(const std::filesystem::path& path) {
  return detail::model_metadata(SafetensorsFile{path, "model file"}, detail::ModelFormat::kind_key);
}

}  // namespace icrl
