// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>

// Parts of error texts about spaces and values that do not fit them. They name the component and both values.
namespace icrl {

/// Why an element is outside a space: "number 4321 is nan, outside 0 .. 1". Empty if it is inside.
[[nodiscard]] inline std::string why_outside(const Space& space, std::span<const float> element) {
  const auto size = static_cast<std::size_t>(value_count(space));
  if (element.size() != size) return fmt::format("{} values, but an element has {}", element.size(), size);
  if (contains(space, element)) return {};
  const std::vector<int> counts = id_counts(space);
  for (std::size_t i = 0; i < size; ++i) {
    const float value = element[i];
    if (has_ids(space)) {
      if (contains(Discrete{counts[i]}, {&value, 1})) continue;
      const bool is_between = value > 0 && value < static_cast<float>(counts[i] - 1);
      return fmt::format("id {} is {}, {} 0 .. {}", i, value, is_between ? "not a whole number in" : "outside",
                         counts[i] - 1);
    }
    const auto& box = std::get<Box>(space);
    const float low = box.low[i], high = box.high[i];
    if (contains(Box{{low}, {high}, {}, box.element}, {&value, 1})) continue;
    const bool is_between = value > low && value < high;
    return fmt::format("number {} is {}, {} {} .. {}", i, value,
                       std::isinf(value) ? "not a finite number in"
                       : is_between      ? "not a whole number in"
                                         : "outside",
                       low, high);
  }
  return {};
}

/// Text about values outside their space: "[0, nan], outside box([0, 0], [1, 1]): number 1 is nan, outside 0 .. 1".
[[nodiscard]] inline std::string describe_outside(std::span<const float> values, const Space& space) {
  // Not "[" + shortened(values): g++ 12 warns of an overlap there that cannot be (GCC bug 105651).
  const std::string text = fmt::format("[{}], outside {}", shortened(values), to_short_string(space));
  return values.size() == 1 && value_count(space) == 1 ? text : text + ": " + why_outside(space, values);
}

/// The first difference of two spaces, `one` before `other`: "discrete(5) and discrete(6)", or for long ones "number
/// 4321 lies in 0 .. 1 and in 0 .. 255". Empty if they are equal.
[[nodiscard]] inline std::string difference(const Space& one, const Space& other) {
  if (one == other) return {};
  const std::string both = to_short_string(one) + " and " + to_short_string(other);
  if (one.index() != other.index() || value_count(one) != value_count(other) || value_count(one) < 2) return both;
  const std::vector<int> ids = id_counts(one), other_ids = id_counts(other);
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] != other_ids[i]) return fmt::format("{}: component {} has {} and {} ids", both, i, ids[i], other_ids[i]);
  if (!ids.empty()) return both;
  const auto& box = std::get<Box>(one);
  const auto& other_box = std::get<Box>(other);
  for (std::size_t i = 0; i < std::min({box.low.size(), box.high.size(), other_box.high.size()}); ++i) {
    if (box.low[i] != other_box.low[i] || box.high[i] != other_box.high[i]) {
      return fmt::format("{}: number {} lies in {} .. {} and in {} .. {}", both, i, box.low[i], box.high[i],
                         other_box.low[i], other_box.high[i]);
    }
  }
  return both;
}

}  // namespace icrl
