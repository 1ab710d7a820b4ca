// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <variant>
#include <vector>

#include <icrl/env/space.hpp>

namespace icrl {

/// contains() for many elements of one space: the space is examined once, not for every element.
class SpaceCheck {
public:
  /// The space must be valid.
  explicit SpaceCheck(const Space& space) : whole_{is_whole(space)} {
    if (const auto* box = std::get_if<Box>(&space)) {
      low_ = box->low;
      high_ = box->high;
      for (float& low : low_) low = std::max(low, std::numeric_limits<float>::lowest());
      for (float& high : high_) high = std::min(high, std::numeric_limits<float>::max());
    } else {
      for (const int count : id_counts(space)) high_.push_back(static_cast<float>(count - 1));
      low_.assign(high_.size(), 0.0f);
    }
  }

  /// Numbers of an element.
  [[nodiscard]] std::size_t size() const { return low_.size(); }

  /// Whether these numbers are an element of the space: as many, all finite and within their ranges, ids whole.
  [[nodiscard]] bool contains(std::span<const float> values) const {
    if (values.size() != low_.size()) return false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float value = values[i];
      const bool inside = value >= low_[i] && value <= high_[i];  // false for NaN
      if (!inside || (whole_ && rounded(value) != value)) return false;
    }
    return true;
  }

private:
  /// To the nearest whole number, as far as ids and u16 go: floats from 2^23 on have no fractions. Quicker than to int
  /// and back.
  static float rounded(float id) { return static_cast<float>(id + 0x1p23f) - 0x1p23f; }

  bool whole_;
  std::vector<float> low_, high_;
};

}  // namespace icrl
