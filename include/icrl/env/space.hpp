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

// Spaces of observations and actions, as in Gymnasium. One element of a space is `value_count(space)` floats; ids are
// whole numbers stored exactly.
namespace icrl {

/// One id in 0 .. count - 1.
struct Discrete {
  int count;  ///< at least 1
  friend bool operator==(const Discrete&, const Discrete&) = default;
};

/// Several ids; component i lies in 0 .. counts[i] - 1. Represent a grid position by two small ids rather than one
/// large id: positions in the same row or column then share an id, and what a model learns about one applies to the
/// others.
struct MultiDiscrete {
  std::vector<int> counts;  ///< each at least 1
  friend bool operator==(const MultiDiscrete&, const MultiDiscrete&) = default;
};

/// How histories store one number; the value of an enumerator is the size in bytes. Every such number is exact as a
/// float.
enum class ElementType : std::uint8_t { u8 = 1, u16 = 2, f32 = 4 };

/// Bytes of a stored number.
[[nodiscard]] constexpr std::size_t size_of(ElementType type) { return static_cast<std::size_t>(type); }
/// "u8", "u16" or "f32".
[[nodiscard]] constexpr std::string_view to_string(ElementType type) {
  return type == ElementType::u8 ? "u8" : type == ElementType::u16 ? "u16" : "f32";
}

/// Numbers; number i lies in low[i] .. high[i]. With type f32 they are real and bounds may be infinite. With type u8 or
/// u16 they are whole numbers within 0 .. 255 or 0 .. 65535.
struct Box {
  std::vector<float> low, high;  ///< of each number; low[i] <= high[i]
  /// Sizes of an array whose last index varies fastest, such as height, width and channels. Empty: a flat list.
  std::vector<int> shape{};
  ElementType element = ElementType::f32;  ///< how histories store a number
  friend bool operator==(const Box&, const Box&) = default;
};

/// What an observation or an action can be. Elements are passed as floats, value_count() of them; an id is a whole
/// number.
using Space = std::variant<Discrete, MultiDiscrete, Box>;

/// Whether all numbers of all elements are whole: ids, and u8 and u16 numbers of a Box.
[[nodiscard]] inline bool is_whole(const Space& space) {
  const auto* box = std::get_if<Box>(&space);
  return box == nullptr || box->element != ElementType::f32;
}

/// The largest space that histories and models can store.
struct SpaceLimits {
  static constexpr int ids = 65535;                 ///< per component
  static constexpr int components = 65536;          ///< components, or numbers of a Box
  static constexpr std::int64_t all_ids = 1 << 24;  ///< over all components
  static constexpr int dimensions = 8;              ///< in the shape of a Box
};

namespace detail {

/// "84 x 84 x 1".
[[nodiscard]] inline std::string shape_text(const std::vector<int>& shape) {
  return shape.size() > SpaceLimits::dimensions ? fmt::format("of {} dimensions", shape.size()) : joined(shape, " x ");
}

/// Returns how many numbers a Box of this shape has. Throws Error, which begins with `what`, for an invalid shape.
inline int check_shape(const std::vector<int>& shape, std::string_view what) {
  std::int64_t count = 1;
  for (const int size : shape) count = size < 1 || count > SpaceLimits::components ? 0 : count * std::int64_t{size};
  if (shape.empty() || shape.size() > SpaceLimits::dimensions || count < 1 || count > SpaceLimits::components) {
    fail(
        "{}: a box cannot have the shape {}: a shape has 1 .. {} sizes, each at least 1, and at most {} numbers in all",
        what, shape_text(shape), SpaceLimits::dimensions, SpaceLimits::components);
  }
  return static_cast<int>(count);
}

}  // namespace detail

/// A pixel image with values 0 .. 255, stored row by row, pixel by pixel, with the channels of a pixel next to each
/// other. Throws Error for invalid sizes.
[[nodiscard]] inline Box image_box(int height, int width, int channels) {
  const std::vector<int> shape{height, width, channels};
  const auto count = static_cast<std::size_t>(detail::check_shape(shape, "image"));
  return {std::vector<float>(count, 0.0f), std::vector<float>(count, 255.0f), shape, ElementType::u8};
}

/// The largest number of an element type with whole numbers.
[[nodiscard]] constexpr float largest_of(ElementType type) { return type == ElementType::u8 ? 255.0f : 65535.0f; }

/// Whether elements are ids: `Discrete` and `MultiDiscrete`, not a `Box`.
[[nodiscard]] inline bool has_ids(const Space& space) { return !std::holds_alternative<Box>(space); }

/// The number of ids of every component; empty for a Box.
[[nodiscard]] inline std::vector<int> id_counts(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return {discrete->count};
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return multi->counts;
  return {};
}

/// The number of floats of one element.
[[nodiscard]] inline int value_count(const Space& space) {
  if (const auto* box = std::get_if<Box>(&space)) return static_cast<int>(box->low.size());
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return static_cast<int>(multi->counts.size());
  return 1;
}

/// Whether these floats are an element of the space: as many, all finite and within bounds, ids and the numbers of u8
/// and u16 boxes whole.
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
  for (std::size_t i = 0; i < element.size(); ++i) {
    if (!std::isfinite(element[i]) || element[i] < box.low[i] || element[i] > box.high[i]) return false;
    if (box.element != ElementType::f32 && element[i] != std::floor(element[i])) return false;
  }
  return true;
}

/// Draws an element uniformly. For an unbounded side of a Box it uses -1 or 1, or a bound 1 beyond the other side if
/// that lies further out.
inline void sample(const Space& space, Rng& rng, std::span<float> out) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) {
    out[0] = static_cast<float>(rng.below(discrete->count));
  } else if (const auto* multi = std::get_if<MultiDiscrete>(&space)) {
    for (std::size_t i = 0; i < multi->counts.size(); ++i) out[i] = static_cast<float>(rng.below(multi->counts[i]));
  } else {
    const auto& box = std::get<Box>(space);
    for (std::size_t i = 0; i < box.low.size(); ++i) {
      if (box.element != ElementType::f32) {
        out[i] = box.low[i] + static_cast<float>(rng.below(static_cast<int>(box.high[i] - box.low[i]) + 1));
        continue;
      }
      double low = static_cast<double>(box.low[i]), high = static_cast<double>(box.high[i]);
      if (std::isinf(low)) low = std::min(-1.0, high - 1);
      if (std::isinf(high)) high = std::max(1.0, low + 1);
      out[i] = static_cast<float>(low + (high - low) * rng.uniform());
    }
  }
}

namespace detail {

/// The shape and element type of a Box: ", 84 x 84 x 1, u8"; empty for a flat list of f32.
[[nodiscard]] inline std::string form_text(const Box& box) {
  std::string text;
  if (!box.shape.empty()) text += ", " + shape_text(box.shape);
  if (box.element != ElementType::f32) text += fmt::format(", {}", to_string(box.element));
  return text;
}

}  // namespace detail

/// The complete space as text: "discrete(5)", "multi_discrete(9, 9)", "box([-1, -1], [1, 1])", "box([0, 0], [255, 255],
/// 1 x 2 x 1, u8)".
[[nodiscard]] inline std::string to_string(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return fmt::format("discrete({})", discrete->count);
  if (const auto* multi = std::get_if<MultiDiscrete>(&space))
    return fmt::format("multi_discrete({})", joined(multi->counts, ", "));
  const auto& box = std::get<Box>(space);
  return fmt::format("box([{}], [{}]{})", joined(box.low, ", "), joined(box.high, ", "), detail::form_text(box));
}

/// The same for error texts, with only the first few of many components: "box([0, 0, 0, 0, ... (7056 in all)], [1, 1,
/// 1, 1, ... (7056 in all)])".
[[nodiscard]] inline std::string to_short_string(const Space& space) {
  if (const auto* multi = std::get_if<MultiDiscrete>(&space))
    return fmt::format("multi_discrete({})", shortened(multi->counts));
  if (const auto* box = std::get_if<Box>(&space))
    return fmt::format("box([{}], [{}]{})", shortened(box->low), shortened(box->high), detail::form_text(*box));
  return to_string(space);
}

/// Throws Error, which begins with `what`, if the space has no elements or exceeds the limits.
inline void validate(const Space& space, std::string_view what) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (value_count(space) < 1) fail("{}: the space {} has no components", what, to_short_string(space));
  if (value_count(space) > SpaceLimits::components)
    fail("{}: the space has {} components, at most {} are allowed", what, value_count(space), SpaceLimits::components);
  std::int64_t ids = 0;
  for (const int count : id_counts(space)) {
    if (count < 1 || count > SpaceLimits::ids)
      fail("{}: {} has a component of {} ids, it must have 1 .. {}", what, to_short_string(space), count,
           SpaceLimits::ids);
    ids += count;
  }
  if (ids > SpaceLimits::all_ids)
    fail("{}: the space has {} ids in all, at most {} are allowed", what, ids, SpaceLimits::all_ids);
  const auto* box = std::get_if<Box>(&space);
  if (box == nullptr) return;
  if (box->low.size() != box->high.size())
    fail("{}: a box has {} lower and {} upper bounds, it must have as many of each", what, box->low.size(),
         box->high.size());
  for (std::size_t i = 0; i < box->low.size(); ++i) {
    if (!(box->low[i] <= box->high[i]) || box->low[i] == infinity || box->high[i] == -infinity)
      fail("{}: number {} of {} has no value between its bounds", what, i, to_short_string(space));
    const auto fits = [&](float bound) {
      return bound == std::floor(bound) && bound >= 0 && bound <= largest_of(box->element);
    };
    if (box->element != ElementType::f32 && !(fits(box->low[i]) && fits(box->high[i]))) {
      fail("{}: number {} of {} has the bounds {} .. {}, but bounds of type {} must be whole numbers in 0 .. {}", what,
           i, to_short_string(space), box->low[i], box->high[i], to_string(box->element), largest_of(box->element));
    }
  }
  if (box->shape.empty()) return;
  const int count = detail::check_shape(box->shape, what);
  if (count != value_count(space)) {
    fail("{}: a box of shape {} has {} numbers, but bounds for {}", what, detail::shape_text(box->shape), count,
         value_count(space));
  }
}

/// The same for an action space, whose numbers must be f32 because policies sample them from distributions over real
/// numbers.
inline void validate_actions(const Space& space, std::string_view what) {
  validate(space, what);
  if (const auto* box = std::get_if<Box>(&space); box != nullptr && box->element != ElementType::f32) {
    fail("{}: the numbers of an action must be f32, not {} (whole numbers are ids: use discrete or multi_discrete)",
         what, to_string(box->element));
  }
}

}  // namespace icrl
