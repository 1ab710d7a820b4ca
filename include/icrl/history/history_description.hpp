// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

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
  static constexpr std::uint32_t masks = 1, behaviour_probabilities = 2, expert_actions = 4;
};

inline void write_space(ByteWriter& writer, const Space& space) {
  writer.value(static_cast<std::uint32_t>(space.index() + 1));
  if (const auto* box = std::get_if<Box>(&space)) {
    writer.value(static_cast<std::uint32_t>(box->low.size()));
    writer.values(std::span<const float>{box->low});
    writer.values(std::span<const float>{box->high});
    return;
  }
  const std::vector<int> counts = id_counts(space);
  writer.value(static_cast<std::uint32_t>(counts.size()));
  for (const int count : counts) writer.value(static_cast<std::uint32_t>(count));
}

/// `most` bounds the number of values, so that nothing is allocated which the file cannot hold.
[[nodiscard]] inline Space read_space(ByteReader& reader, std::uint32_t most) {
  const auto kind = reader.value_in<std::uint32_t>("kind of a space", 1, 3);
  const auto n = reader.value_in<std::uint32_t>("size of a space", kind == 1 ? 1 : 0, kind == 1 ? 1 : most);
  if (kind == 3) {
    Box box{std::vector<float>(n), std::vector<float>(n)};
    reader.values(std::span<float>{box.low});
    reader.values(std::span<float>{box.high});
    return box;
  }
  std::vector<int> counts(n);
  for (int& count : counts)
    count = static_cast<int>(reader.value_in<std::uint32_t>("count of a space", 1, SpaceLimits::ids));
  if (kind == 1) return Discrete{counts[0]};
  return MultiDiscrete{std::move(counts)};
}

[[nodiscard]] inline ByteWriter write_description(const HistoryInfo& info) {
  ByteWriter writer;
  write_space(writer, info.observation_space);
  write_space(writer, info.action_space);
  writer.value(info.task);
  writer.value(info.seed);
  writer.value((info.has_action_mask ? OptionalColumns::masks : 0u) |
               (info.has_behaviour_probability ? OptionalColumns::behaviour_probabilities : 0u) |
               (info.has_expert_action ? OptionalColumns::expert_actions : 0u));
  writer.text(info.algorithm);
  return writer;
}

[[nodiscard]] inline HistoryInfo read_description(std::span<const std::byte> bytes, const std::string& what) {
  ByteReader reader{bytes, what + ": description"};
  const auto most = static_cast<std::uint32_t>(bytes.size() / 4);
  HistoryInfo info;
  info.observation_space = read_space(reader, most);
  info.action_space = read_space(reader, most);
  info.task = reader.value<std::int64_t>();
  info.seed = reader.value<std::uint64_t>();
  const auto columns = reader.value_in<std::uint32_t>("set of optional columns", 0, 7);
  info.has_action_mask = (columns & OptionalColumns::masks) != 0;
  info.has_behaviour_probability = (columns & OptionalColumns::behaviour_probabilities) != 0;
  info.has_expert_action = (columns & OptionalColumns::expert_actions) != 0;
  info.algorithm = reader.text();
  reader.expect_end();
  try {
    validate(info);
  } catch (const Error& error) {
    fail("{}: {}", what, error.what());
  }
  return info;
}

}  // namespace icrl::detail
