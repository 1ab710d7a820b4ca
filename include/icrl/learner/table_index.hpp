// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// Assigns a table row to each element of a space of ids.
class TableIndex {
public:
  /// Throws Error for a Box, for a space without elements, and for a space with more than 2^28 elements. `what` names
  /// the table.
  TableIndex(const Space& space, std::string_view what) : counts_{id_counts(space)} {
    if (!has_ids(space))
      fail("{}: a table needs a discrete or multi_discrete space, not {}", what, to_short_string(space));
    validate(space, what);
    constexpr std::int64_t most = std::int64_t{1} << 28;
    std::int64_t rows = 1;
    for (const int count : counts_) {
      rows *= count;
      if (rows > most)
        fail("{}: {} has more than {} elements, too many for a table", what, to_short_string(space), most);
    }
    row_count_ = static_cast<std::size_t>(rows);
  }

  /// Rows of the table: the number of different elements.
  [[nodiscard]] std::size_t row_count() const { return row_count_; }

  /// The last component varies fastest.
  [[nodiscard]] std::size_t operator()(std::span<const float> element) const {
    int row = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) row = row * counts_[i] + static_cast<int>(element[i]);
    return static_cast<std::size_t>(row);
  }

private:
  std::vector<int> counts_;
  std::size_t row_count_ = 0;
};

}  // namespace icrl
