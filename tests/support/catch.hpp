// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

// Catch2, version 3 or the 2.13 that Debian 12 has.
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& text) { return Catch::Contains(text); }  // as version 3 calls it
#endif

// Catch2's macros name what they define by __COUNTER__, which clang 22 on calls an extension wherever they stand.
#if defined(__clang__) && __clang_major__ >= 22
#pragma clang diagnostic ignored "-Wc2y-extensions"
#endif

/// Ends a test case that this build or system cannot run, and says so: a check that is left out is not silent.
#define SKIP_UNLESS_AVAILABLE(What)                       \
  if (!What::is_available()) {                            \
    WARN("not checked here: " #What " is not available"); \
    return;                                               \
  }                                                       \
  static_assert(true)
