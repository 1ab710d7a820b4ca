// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>

// What observations and actions are, in Gymnasium's sense. One element of a space is `value_count(space)` floats; ids
// are whole numbers stored exactly.
namespace icrl {

/// One id in 0 .. count - 1.
struct Discrete {
  int count;
  friend bool operator==(const Discrete&, const Discrete&) = default;
};

/// Several ids side by side, component i in 0 .. counts[i] - 1. A position on a grid is two small ids, not one large
/// one: neighbours then share an id, and a model learns of one from the other.
struct MultiDiscrete {
  std::vector<int> counts;
  friend bool operator==(const MultiDiscrete&, const MultiDiscrete&) = default;
};

/// Real numbers, number i in low[i] .. high[i]; bounds may be infinite.
struct Box {
  std::vector<float> low, high;
  friend bool operator==(const Box&, const Box&) = default;
};

using Space = std::variant<Discrete, MultiDiscrete, Box>;

/// The largest space that histories and models can store.
struct SpaceLimits {
  static constexpr int ids = 65535;                 ///< of one component
  static constexpr int components = 65536;          ///< or numbers of a Box
  static constexpr std::int64_t all_ids = 1 << 24;  ///< of all components
};

[[nodiscard]] inline bool has_ids(const Space& space) { return !std::holds_alternative<Box>(space); }

/// Ids of every component; empty for a Box.
[[nodiscard]] inline std::vector<int> id_counts(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return {discrete->count};
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return multi->counts;
  return {};
}

/// Floats that one element takes.
[[nodiscard]] inline int value_count(const Space& space) {
  if (const auto* box = std::get_if<Box>(&space)) return static_cast<int>(box->low.size());
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return static_cast<int>(multi->counts.size());
  return 1;
}

[[nodiscard]] inline bool contains(const Space& space, std::span<const float> element) {
  if (element.size() != static_cast<std::size_t>(value_count(space))) return false;
  const auto is_id = [](float value, int count) {
    return value >= 0 && value < static_cast<float>(count) && value == std::floor(value);
  };
  if (const auto* discrete = std::get_if<Discrete>(&space)) return is_id(element[0], discrete->count);
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) {
    for (std::size_t i = 0; i < element.size(); ++i)
      if (!is_id(element[i], multi->counts[i])) return false;
    return true;
  }
  const auto& box = std::get<Box>(space);
  for (std::size_t i = 0; i < element.size(); ++i)
    if (!std::isfinite(element[i]) || element[i] < box.low[i] || element[i] > box.high[i]) return false;
  return true;
}

/// Draws an element uniformly. An unbounded side of a Box counts as -1 or 1, or as 1 beyond the other side where that
/// is further out.
inline void sample(const Space& space, Rng& rng, std::span<float> out) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) {
    out[0] = static_cast<float>(rng.below(discrete->count));
  } else if (const auto* multi = std::get_if<MultiDiscrete>(&space)) {
    for (std::size_t i = 0; i < multi->counts.size(); ++i) out[i] = static_cast<float>(rng.below(multi->counts[i]));
  } else {
    const auto& box = std::get<Box>(space);
    for (std::size_t i = 0; i < box.low.size(); ++i) {
      double low = static_cast<double>(box.low[i]), high = static_cast<double>(box.high[i]);
      if (std::isinf(low)) low = std::min(-1.0, high - 1);
      if (std::isinf(high)) high = std::max(1.0, low + 1);
      out[i] = static_cast<float>(low + (high - low) * rng.uniform());
    }
  }
}

/// "discrete(5)", "multi_discrete(9, 9)", "box([-1, -1], [1, 1])": all of the space, however large it is.
[[nodiscard]] inline std::string to_string(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return fmt::format("discrete({})", discrete->count);
  if (const auto* multi = std::get_if<MultiDiscrete>(&space))
    return fmt::format("multi_discrete({})", joined(multi->counts, ", "));
  const auto& box = std::get<Box>(space);
  return fmt::format("box([{}], [{}])", joined(box.low, ", "), joined(box.high, ", "));
}

/// The same for error texts, which name the first few of many components: "box([0, 0, 0, 0, ... (7056 in all)], [1, 1,
/// 1, 1, ... (7056 in all)])".
[[nodiscard]] inline std::string to_short_string(const Space& space) {
  if (const auto* multi = std::get_if<MultiDiscrete>(&space))
    return fmt::format("multi_discrete({})", shortened(multi->counts));
  if (const auto* box = std::get_if<Box>(&space))
    return fmt::format("box([{}], [{}])", shortened(box->low), shortened(box->high));
  return to_string(space);
}

/// Throws Error, which begins with `what`, unless the space has elements and keeps to the limits.
inline void validate(const Space& space, std::string_view what) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (value_count(space) < 1) fail("{}: the space {} has no components", what, to_short_string(space));
  if (value_count(space) > SpaceLimits::components)
    fail("{}: the space has {} components, {} are possible", what, value_count(space), SpaceLimits::components);
  std::int64_t ids = 0;
  for (const int count : id_counts(space)) {
    if (count < 1 || count > SpaceLimits::ids)
      fail("{}: {} has a component of {} ids, 1 .. {} are possible", what, to_short_string(space), count,
           SpaceLimits::ids);
    ids += count;
  }
  if (ids > SpaceLimits::all_ids)
    fail("{}: the space has {} ids in all, {} are possible", what, ids, SpaceLimits::all_ids);
  const auto* box = std::get_if<Box>(&space);
  if (box == nullptr) return;
  if (box->low.size() != box->high.size())
    fail("{}: a box has {} lower and {} upper bounds", what, box->low.size(), box->high.size());
  for (std::size_t i = 0; i < box->low.size(); ++i) {
    if (!(box->low[i] <= box->high[i]) || box->low[i] == infinity || box->high[i] == -infinity)
      fail("{}: number {} of {} has no value between its bounds", what, i, to_short_string(space));
  }
}

}  // namespace icrl
