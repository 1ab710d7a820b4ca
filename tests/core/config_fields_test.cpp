// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/config_fields.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/every_field.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename Change>
std::string error_after(Change&& change) {
  EveryField config;
  change(config);
  return error_of([&] { validate_fields(config, "plot"); });
}

}  // namespace

static_assert(HasFields<EveryField>);
static_assert(!HasFields<int>);
static_assert(!HasFields<std::string>);

TEST_CASE("A configuration's description follows from its fields", "[core]") {
  CHECK(describe(EveryField{}) == "width 4, 8 deep, rate 0.5, title \"none\", as day");
  CHECK(describe(unusual_fields()) == "width 9, 3 deep, rate 0.1, title \"a \"b\"\", dark, sizes 7 1 99");
}

TEST_CASE("A value outside its field's range is named with the range", "[core]") {
  CHECK(error_after([](auto&) {}).empty());
  CHECK(error_of([] { validate_fields(unusual_fields(), "plot"); }).empty());
  CHECK(error_after([](auto& c) { c.width = 0; }) == "plot: width is 0, it must lie in 1 .. 9");
  CHECK(error_after([](auto& c) { c.depth = 10; }) == "plot: depth is 10, it must lie in 0 .. 9");
  CHECK(error_after([](auto& c) { c.rate = 1.5; }) == "plot: rate is 1.5, it must lie in 0 .. 1");
  CHECK(error_after([](auto& c) { c.rate = std::nan(""); }) == "plot: rate is nan, it must lie in 0 .. 1");
  CHECK(error_after([](auto& c) { c.shade = Shade{7}; }) ==
        "plot: shade has the unknown value 7, it must be light or dark");
  CHECK(error_after([](auto& c) { c.sizes = {1, 100}; }) == "plot: sizes[1] is 100, it must lie in 1 .. 99");
}

TEST_CASE("Help names every field with its default, its meaning and its range", "[core]") {
  CHECK(help_text<EveryField>() ==
        "width (4): numbers per token; 1 .. 9\n"
        "depth (0): layers; 0 .. 9\n"
        "rate (0.5): of learning; 0 .. 1\n"
        "title (\"none\"): on the plot; a text\n"
        "shade (light): of the plot; light or dark\n"
        "sizes (none): of the layers; none, or each in 1 .. 99\n");
}
