// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace icrl::test {

/// x with 8 bits of precision, to the nearest, ties to even: by arithmetic, not by bits.
inline double plainly_rounded(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

/// The first number of a pair, in its low half, and the second one.
inline double first_of_pair(std::uint32_t pair) {
  pair <<= 16;
  float number;
  std::memcpy(&number, &pair, sizeof number);
  return static_cast<double>(number);
}
inline double second_of_pair(std::uint32_t pair) { return first_of_pair(pair >> 16); }

}  // namespace icrl::test
