// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <icrl/core/error.hpp>

namespace icrl {

namespace detail {

/// Not inlined, because throwing is rare. Shortens a text that the data made very long in the middle, so that its
/// beginning and end remain readable.
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_error(std::string text) {
  constexpr std::size_t most = 4000, head = 2400, tail = 1200;
  if (text.size() > most) {
    const auto is_inside_character = [&](std::size_t i) {
      return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    };
    std::size_t cut = head, rest = text.size() - tail;
    while (cut > 0 && is_inside_character(cut)) --cut;
    while (rest < text.size() && is_inside_character(rest)) ++rest;
    text = fmt::format("{} [... {} characters left out ...] {}", text.substr(0, cut), rest - cut, text.substr(rest));
  }
  throw Error{text};
}

}  // namespace detail

/// Throws Error with a formatted text of at most 4000 characters. This is the only header that includes fmt;
/// performance-critical headers do not include it.
template <typename... Args>
[[noreturn, gnu::cold, gnu::noinline]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  // The format string is passed on unchanged, because fmt versions differ in how they convert it.
  detail::throw_error(fmt::format(text, std::forward<Args>(args)...));
}

/// Joins values: "1, 2, 3". Used instead of fmt::join, which compiles format parsing and number printing again for
/// every range type.
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

/// Joins values with ", " for error texts and shows only the first few of many: "0, 0, 0, 0, ... (7056 in all)".
template <typename Values>
[[nodiscard]] std::string shortened(const Values& values) {
  constexpr std::size_t most = 12, shown = 4;
  if (values.size() <= most) return joined(values, ", ");
  const auto begin = values.begin();
  return fmt::format("{}, ... ({} in all)",
                     joined(std::vector(begin, begin + static_cast<std::ptrdiff_t>(shown)), ", "), values.size());
}

}  // namespace icrl
