// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

// Stands in for fmt: declares what its versions 9 to 12 have in common and none of them warns of. A format_string is
// handed on and turns into nothing else; numbers and texts are formatted, enumerations and ranges are not.
namespace fmt {

namespace detail {

template <typename T>
inline constexpr bool is_plain =
    std::is_arithmetic_v<std::remove_cvref_t<T>> || std::is_convertible_v<const T&, std::string_view>;

template <typename... T>
struct Text {
  template <std::size_t N>
  consteval Text(const char (&)[N]) {
    static_assert((is_plain<T> && ...), "this type is formatted by some versions of fmt only");
  }
};

template <typename... T>
struct TextOf {
  using Type = Text<T...>;
};

}  // namespace detail

template <typename... T>
using format_string = typename detail::TextOf<T...>::Type;

template <typename... T>
std::string format(format_string<T...> text, T&&... values);

}  // namespace fmt
