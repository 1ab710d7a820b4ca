// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>

#include <icrl/core/target.hpp>

// ICRL_ASSERT(condition, "message") checks for a precondition violation. It is on if NDEBUG is not defined or
// ICRL_ENABLE_ASSERTS is. By default it prints and aborts; to do something else, define ICRL_ASSERT_HANDLER(message,
// file, line) before including icrl.
#ifndef ICRL_ASSERT_HANDLER
#define ICRL_ASSERT_HANDLER(message, file, line) ::icrl::detail::assertion_failed(message, file, line)
#endif

namespace icrl::detail {

[[noreturn]] inline void assertion_failed(const char* message, const char* file, int line) {
  std::fprintf(stderr, "icrl: %s:%d: %s\n", file, line, message);
  std::abort();
}

}  // namespace icrl::detail

#if !defined(NDEBUG) || defined(ICRL_ENABLE_ASSERTS)
#define ICRL_ASSERT(condition, message) ((condition) ? void(0) : ICRL_ASSERT_HANDLER(message, __FILE__, __LINE__))
#else
#define ICRL_ASSERT(condition, message) static_cast<void>(sizeof((condition) ? 1 : 0))
#endif
