// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <fmt/format.h>
#if FMT_VERSION >= 110000
#include <fmt/ranges.h>  // fmt::join lives here since
#endif

#include <icrl/core/error.hpp>

namespace icrl {

/// Throws Error with a formatted text. The one header that pays for fmt: hot headers leave it out.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error{fmt::format(text, std::forward<Args>(args)...)};
}

}  // namespace icrl
