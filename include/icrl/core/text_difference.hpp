// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/target.hpp>

namespace icrl {

/// The difference between two descriptions, for error texts.
struct TextDifference {
  std::string one, other;  ///< the parts of each that the other does not have
};

namespace detail {

/// Splits a description at ", " and "; ".
[[nodiscard]] inline std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    std::size_t end = text.find_first_of(",;", begin);
    while (end != text.npos && end + 1 < text.size() && text[end + 1] != ' ') end = text.find_first_of(",;", end + 1);
    if (end == text.npos || end + 2 > text.size()) {
      parts.push_back(text.substr(begin));
      return parts;
    }
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
}

/// Joins the parts with these indices. If the first of them does not begin with a letter, the closest earlier part that
/// does is put before it, because that part names the value.
[[nodiscard]] inline std::string text_of(const std::vector<std::string_view>& parts,
                                         const std::vector<std::size_t>& indices) {
  constexpr std::size_t most = 6;
  const auto is_named = [&](std::size_t i) { return std::isalpha(static_cast<unsigned char>(parts[i][0])) != 0; };
  std::string text;
  if (!indices.empty()) {
    std::size_t name = indices.front();
    while (name > 0 && (parts[name].empty() || !is_named(name))) --name;
    if (name < indices.front()) text = std::string{parts[name]} + ", ..., ";
  }
  for (std::size_t i = 0; i < std::min(most, indices.size()); ++i)
    text += (i == 0 ? "" : ", ") + std::string{parts[indices[i]]};
  return indices.size() > most ? text + ", ..." : text;
}

}  // namespace detail

/// The parts in which two descriptions such as "width 64, layers 2, seed 1" differ. If both have the same number of
/// parts: all that differ. Otherwise: those between the common beginning and the common end. Shows only the first few
/// of many.
[[nodiscard]] inline TextDifference text_difference(std::string_view one, std::string_view other) {
  const auto parts = detail::parts_of(one), other_parts = detail::parts_of(other);
  std::vector<std::size_t> indices, other_indices;
  if (parts.size() == other_parts.size()) {
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (parts[i] != other_parts[i]) indices.push_back(i);
    other_indices = indices;
  } else {
    const std::size_t both = std::min(parts.size(), other_parts.size());
    std::size_t first = 0, left = 0;  // number of common parts at the beginning and at the end
    while (first < both && parts[first] == other_parts[first]) ++first;
    while (left < both - first && parts[parts.size() - 1 - left] == other_parts[other_parts.size() - 1 - left]) ++left;
    if (first + left == both && first > 0) --first;  // one has nothing in between, so show the part before it
    for (std::size_t i = first; i < parts.size() - left; ++i) indices.push_back(i);
    for (std::size_t i = first; i < other_parts.size() - left; ++i) other_indices.push_back(i);
  }
  return {detail::text_of(parts, indices), detail::text_of(other_parts, other_indices)};
}

}  // namespace icrl
