// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/error.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>
#include <icrl/history/history_view.hpp>

// The description of a history in a file; history_format.hpp has the bytes.
namespace icrl::detail {

/// Bits that say which optional columns a history has.
struct OptionalColumns {
  static constexpr std::uint32_t masks = 1, behavior_probabilities = 2, expert_actions = 4,
                                 extra_features = 8;  // in files of version 3 only
};

/// How a file encodes a space. Only files of version 2 or newer use `shaped_box`.
struct SpaceKind {
  static constexpr std::uint32_t discrete = 1, multi_discrete = 2, box = 3, shaped_box = 4;
};

[[nodiscard]] inline std::uint32_t kind_of(const Space& space) {
  const auto* box = std::get_if<Box>(&space);
  if (box != nullptr && (!box->shape.empty() || box->element != ElementType::f32)) return SpaceKind::shaped_box;
  return static_cast<std::uint32_t>(space.index() + 1);
}

/// The version that a file needs to hold a history.
[[nodiscard]] inline std::uint32_t version_for(const HistoryInfo& info) {
  if (!info.extra_features.empty()) return 3;
  const std::uint32_t newest_kind = std::max(kind_of(info.observation_space), kind_of(info.action_space));
  return newest_kind == SpaceKind::shaped_box ? 2 : 1;
}

inline void write_space(ByteWriter& writer, const Space& space) {
  const auto number = [&](auto value) { writer.value(static_cast<std::uint32_t>(value)); };
  number(kind_of(space));
  number(value_count(space));
  if (const auto* box = std::get_if<Box>(&space)) {
    if (kind_of(space) == SpaceKind::shaped_box) {
      number(size_of(box->element));
      number(box->shape.size());
      for (const int size : box->shape) number(size);
    }
    writer.values(std::span<const float>{box->low});
    writer.values(std::span<const float>{box->high});
    return;
  }
  for (const int count : id_counts(space)) number(count);
}

/// `most` bounds the number of values, so that a damaged file cannot cause a large allocation.
[[nodiscard]] inline Space read_space(ByteReader& reader, std::uint32_t version, std::uint32_t most) {
  const std::uint32_t newest_kind = version == 1 ? SpaceKind::box : SpaceKind::shaped_box;
  const auto kind = reader.value_in<std::uint32_t>("kind of a space", SpaceKind::discrete, newest_kind);
  const bool is_single = kind == SpaceKind::discrete;
  const auto n = reader.value_in<std::uint32_t>("size of a space", is_single ? 1 : 0, is_single ? 1 : most);
  const auto sizes = [&](std::uint32_t count, const char* name, std::uint32_t largest) {
    std::vector<int> values(count);
    for (int& value : values) value = static_cast<int>(reader.value_in<std::uint32_t>(name, 1, largest));
    return values;
  };
  if (kind == SpaceKind::discrete) return Discrete{sizes(1, "count of a space", SpaceLimits::ids)[0]};
  if (kind == SpaceKind::multi_discrete) return MultiDiscrete{sizes(n, "count of a space", SpaceLimits::ids)};
  Box box;
  if (kind == SpaceKind::shaped_box) {
    const auto bytes = reader.value_in<std::uint32_t>("bytes per number of a box", 1, 4);
    if (bytes == 3) fail("{}: a number of a box takes 3 bytes, it must be 1, 2 or 4", reader.what());
    box.element = ElementType{static_cast<std::uint8_t>(bytes)};
    const auto dimensions = reader.value_in<std::uint32_t>("dimensions of a box", 0, SpaceLimits::dimensions);
    box.shape = sizes(dimensions, "size of a box", SpaceLimits::components);
  }
  box.low.resize(n);
  box.high.resize(n);
  reader.values(std::span<float>{box.low});
  reader.values(std::span<float>{box.high});
  return box;
}

[[nodiscard]] inline ByteWriter write_description(const HistoryInfo& info) {
  ByteWriter writer;
  write_space(writer, info.observation_space);
  write_space(writer, info.action_space);
  writer.value(info.task);
  writer.value(info.seed);
  writer.value((info.has_action_mask ? OptionalColumns::masks : 0u) |
               (info.has_behavior_probability ? OptionalColumns::behavior_probabilities : 0u) |
               (info.has_expert_action ? OptionalColumns::expert_actions : 0u) |
               (info.extra_features.empty() ? 0u : OptionalColumns::extra_features));
  writer.text(info.algorithm);
  if (info.extra_features.empty()) return writer;
  writer.value(static_cast<std::uint32_t>(info.extra_features.size()));
  for (const ExtraFeature& feature : info.extra_features) {
    writer.value(static_cast<std::uint32_t>(feature.size));
    writer.text(feature.name);
  }
  return writer;
}

[[nodiscard]] inline HistoryInfo read_description(std::span<const std::byte> bytes, std::uint32_t version,
                                                  const std::string& what) {
  ByteReader reader{bytes, what + ": description"};
  const auto most = static_cast<std::uint32_t>(bytes.size() / 4);
  HistoryInfo info;
  info.observation_space = read_space(reader, version, most);
  info.action_space = read_space(reader, version, most);
  info.task = reader.value<std::int64_t>();
  info.seed = reader.value<std::uint64_t>();
  const auto columns = reader.value_in<std::uint32_t>("set of optional columns", 0, version < 3 ? 7 : 15);
  info.has_action_mask = (columns & OptionalColumns::masks) != 0;
  info.has_behavior_probability = (columns & OptionalColumns::behavior_probabilities) != 0;
  info.has_expert_action = (columns & OptionalColumns::expert_actions) != 0;
  info.algorithm = reader.text();
  if ((columns & OptionalColumns::extra_features) != 0) {
    using Limits = ExtraFeatureLimits;
    info.extra_features.resize(reader.value_in<std::uint32_t>("number of extra features", 1, Limits::count));
    for (ExtraFeature& feature : info.extra_features) {
      feature.size = static_cast<int>(reader.value_in<std::uint32_t>("size of an extra feature", 1, Limits::all_sizes));
      feature.name = reader.text();
    }
  }
  reader.check_end();
  try {
    validate(info);
  } catch (const Error& error) {
    fail("{}: {}", what, error.what());
  }
  return info;
}

}  // namespace icrl::detail
