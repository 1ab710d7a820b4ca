// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/cpp_tables.hpp>

#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Numbers in C++ have all their bits", "[compress]") {
  for (const float number : {0.1f, -3.0f, 0.0f, std::numeric_limits<float>::max(), 1e-40f}) {
    const std::string text = detail::cpp_number(number);
    CHECK(text.back() == 'f');
    CHECK(std::strtof(text.c_str(), nullptr) == number);
  }
  CHECK(std::strtod(detail::cpp_number(0.1).c_str(), nullptr) == 0.1);
  CHECK(detail::cpp_number(-0.0f) == "-0x0p0f");
}

TEST_CASE("Numbers in C++ are the same where a comma separates fractions", "[compress]") {
  const std::string plain = detail::cpp_number(0.1f) + detail::cpp_number(-2.5e300);
  const DecimalComma comma;
  CHECK(detail::cpp_number(0.1f) + detail::cpp_number(-2.5e300) == plain);
  CHECK(plain.find('.') == plain.npos);  // which also holds where the machine has no such locale
}

TEST_CASE("An array of C++ has lines of up to 120 characters, and comments of their own", "[compress]") {
  detail::CppArray array;
  array.name("ones");
  for (int i = 0; i < 100; ++i) array.add(1);
  array.name("a two");
  array.add(2);

  const std::string text = array.definition("int", "numbers", "0");

  CHECK(array.size() == 101);
  CHECK(text.find("inline constexpr int numbers[] = {\n  // ones\n  1, 1, ") == 0);
  CHECK(has(text, "1,\n  // a two\n  2,\n};\n"));
  std::istringstream lines{text};
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  CHECK((longest > 110 && longest <= 120));
}

TEST_CASE("An empty array of C++ has one element", "[compress]") {
  CHECK(detail::CppArray{}.definition("float", "none", "0") == "inline constexpr float none[] = {\n  0,\n};\n");
}

TEST_CASE("Bounds of ids end at the last one, those of numbers are finite", "[compress]") {
  CHECK(has(detail::cpp_bounds(MultiDiscrete{{4, 5}}, "b"), "{0x0p0f, 0x3p0f}, {0x0p0f, 0x1p2f},"));
  const Box box{{-std::numeric_limits<float>::infinity()}, {1}};
  CHECK(has(detail::cpp_bounds(box, "b"), "{-0xffffffp104f, 0x1p0f},"));
}
