// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <icrl/core/error.hpp>

namespace icrl {

namespace detail {

/// Kept out of line: what throws is never worth inlining.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail_with(fmt::string_view text, fmt::format_args arguments) {
  throw Error{fmt::vformat(text, arguments)};
}

}  // namespace detail

/// Throws Error with a formatted text. The one header that pays for fmt: hot headers leave it out.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  detail::fail_with(text, fmt::make_format_args(args...));
}

/// "1, 2, 3". In place of fmt::join, which compiles fmt's parsing of formats and printing of numbers once more for
/// every type of a range.
template <typename Values>
[[nodiscard]] std::string joined(const Values& values, std::string_view separator) {
  std::string text;
  bool is_first = true;
  for (const auto& value : values) {
    if (!is_first) text += separator;
    is_first = false;
    text += fmt::format("{}", value);
  }
  return text;
}

}  // namespace icrl
