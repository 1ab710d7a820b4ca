// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// Encodes an element of a space as inputs of a network: an id as one number per possible id, 1 at its place and 0
/// elsewhere; the numbers of a Box unchanged.
class OneHot {
public:
  /// Throws Error, which begins with `what`, for an invalid space.
  OneHot(const Space& space, std::string_view what) : counts_{id_counts(space)}, value_count_{value_count(space)} {
    validate(space, what);
    for (const int count : counts_) size_ += static_cast<std::size_t>(count);
    if (counts_.empty()) size_ = static_cast<std::size_t>(value_count_);
  }

  /// Number of inputs per element.
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Writes the inputs, size() of them, of an element.
  void write(std::span<const float> element, std::span<float> out) const {
    ICRL_ASSERT(element.size() == static_cast<std::size_t>(value_count_) && out.size() == size_,
                "one-hot: sizes of the element and the output must fit the space");
    if (counts_.empty()) {
      std::copy(element.begin(), element.end(), out.begin());
      return;
    }
    std::fill(out.begin(), out.end(), 0.0f);
    std::size_t first = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      out[first + static_cast<std::size_t>(element[i])] = 1;
      first += static_cast<std::size_t>(counts_[i]);
    }
  }

private:
  std::vector<int> counts_;  // empty for a Box
  int value_count_;
  std::size_t size_ = 0;
};

}  // namespace icrl
