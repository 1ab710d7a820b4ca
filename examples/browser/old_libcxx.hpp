// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <iterator>

// libc++ 14, which Debian 12's emscripten has, lacks two algorithms that env/action_permutation.hpp calls. Included
// first.
#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 15000
namespace std::ranges {

template <typename Range, typename Value>
constexpr auto find(Range&& range, const Value& value) {
  return std::find(std::begin(range), std::end(range), value);
}
template <typename Range, typename Other>
constexpr bool is_permutation(Range&& range, Other&& other) {
  return std::is_permutation(std::begin(range), std::end(range), std::begin(other), std::end(other));
}

}  // namespace std::ranges
#endif
