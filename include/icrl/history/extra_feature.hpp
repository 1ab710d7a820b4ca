// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// Numbers of a step in addition to observation, action, reward and flags, known before its action: a return-to-go, an
/// action mask, a second sensor. A history keeps them in a column, by this name; a layout names those that a model
/// sees.
struct ExtraFeature {
  std::string name;  ///< letters, digits, '_', '-' and '.'
  int size = 1;      ///< floats

  friend bool operator==(const ExtraFeature&, const ExtraFeature&) = default;
};

/// Floats that all of them take.
[[nodiscard]] inline int extra_size(const std::vector<ExtraFeature>& features) {
  int size = 0;
  for (const ExtraFeature& feature : features) size += feature.size;
  return size;
}

/// Where a feature of this name and size begins among the numbers of all features; -1 if it is not there.
[[nodiscard]] inline int find_extra_feature(const std::vector<ExtraFeature>& features, const ExtraFeature& wanted) {
  int begin = 0;
  for (const ExtraFeature& feature : features) {
    if (feature == wanted) return begin;
    begin += feature.size;
  }
  return -1;
}

/// "return_to_go (1), mask (5)", or "none".
[[nodiscard]] inline std::string to_string(const std::vector<ExtraFeature>& features) {
  std::string text;
  for (const ExtraFeature& feature : features) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} ({})", feature.name, feature.size);
  }
  return text.empty() ? "none" : text;
}

/// The most that histories and models can have.
struct ExtraFeatureLimits {
  /// The most features, the longest name in characters, and the most numbers of all features together.
  static constexpr int count = 64, name_length = 64, all_sizes = SpaceLimits::components;
};

/// Throws Error, which begins with `what`, for names that files cannot hold, duplicate names, and sizes out of range.
inline void validate(const std::vector<ExtraFeature>& features, std::string_view what) {
  using Limits = ExtraFeatureLimits;
  if (features.size() > Limits::count)
    fail("{}: there are {} extra features, at most {} are possible", what, features.size(), Limits::count);
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  std::int64_t all_sizes = 0;
  for (auto feature = features.begin(); feature != features.end(); ++feature) {
    const std::string& name = feature->name;
    if (name.empty() || name.size() > Limits::name_length || !std::all_of(name.begin(), name.end(), is_fine)) {
      fail("{}: extra feature {} has the name \"{}\", it must have 1 .. {} letters, digits, '_', '-' or '.'", what,
           feature - features.begin(), name.substr(0, Limits::name_length), Limits::name_length);
    }
    if (std::any_of(features.begin(), feature, [&](const ExtraFeature& other) { return other.name == name; }))
      fail("{}: two extra features have the name \"{}\"", what, name);
    if (feature->size < 1 || feature->size > Limits::all_sizes)
      fail("{}: extra feature {} has {} numbers, it must have 1 .. {}", what, name, feature->size, Limits::all_sizes);
    all_sizes += feature->size;
  }
  if (all_sizes > Limits::all_sizes)
    fail("{}: the extra features have {} numbers in all, at most {} are possible", what, all_sizes, Limits::all_sizes);
}

}  // namespace icrl
