// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/packed_codes.hpp>

#include <cstdint>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Packed numbers come back, whatever their width", "[compress]") {
  Rng rng{1};
  for (int bits = 1; bits <= 8; ++bits) {
    for (Index count = 1; count <= 20; ++count) {
      Matrix<std::uint8_t> bytes = Matrix<std::uint8_t>::Zero(static_cast<Index>(detail::packed_size(count, bits)), 3);
      Matrix<int> numbers(count, 3);
      for (int& number : numbers.reshaped()) number = static_cast<int>(rng.below(1 << bits));

      for (Index i = 0; i < count; ++i)
        for (Index o = 0; o < 3; ++o) detail::set_packed(bytes, i, o, bits, static_cast<unsigned>(numbers(i, o)));

      for (Index i = 0; i < count; ++i)
        for (Index o = 0; o < 3; ++o) CHECK(static_cast<int>(detail::packed_at(bytes, i, o, bits)) == numbers(i, o));
      for (Index o = 0; o < 3; ++o) CHECK(detail::ends_in_zeros(bytes, count, o, bits));
    }
  }
}

TEST_CASE("The lowest bits are the first number's", "[compress]") {
  Matrix<std::int8_t> bytes = Matrix<std::int8_t>::Zero(2, 1);

  detail::set_packed(bytes, 0, 0, 3, 5);
  detail::set_packed(bytes, 1, 0, 3, 6);
  detail::set_packed(bytes, 2, 0, 3, 7);

  CHECK(bytes(0, 0) == static_cast<std::int8_t>(0b11110101));
  CHECK(bytes(1, 0) == 1);
  CHECK(detail::ends_in_zeros(bytes, 3, 0, 3));
  bytes(1, 0) = 3;
  CHECK_FALSE(detail::ends_in_zeros(bytes, 3, 0, 3));
}
