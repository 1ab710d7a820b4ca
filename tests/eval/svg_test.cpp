// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/svg.hpp>

#include <algorithm>

#include "support/catch.hpp"

using namespace icrl;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("A picture has a line, a band and a name for each series", "[eval]") {
  const Plot plot{.title = "title",
                  .series = {{.name = "first", .y = {1, 2, 3}, .band = {{0, 2}, {1, 3}, {2, 4}}},
                             {.name = "second", .y = {2, 2}, .stroke = PlotStroke::dashed},
                             {.name = "third", .y = {1, 2}, .stroke = PlotStroke::dotted}},
                  .levels = {{"oracle", 5}}};

  const std::string svg = to_svg(plot);

  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "<polyline") == 3);
  CHECK(count(svg, "<polygon") == 1);
  for (const char* dashes : {"\"7 5\"", "\"2 3\""})  // in the plot and in the legend
    CHECK(count(svg, std::string{"stroke-dasharray="} + dashes) == 2);
  for (const char* name : {"title", "first", "second", "third", "oracle", "episode", "return"})
    CHECK(count(svg, std::string{">"} + name + "<") == 1);
}

TEST_CASE("Values stand at their place", "[eval]") {
  const std::string svg = to_svg({.series = {{.name = "a", .y = {0, 10}}}});

  CHECK(count(svg, "points=\"64.0,440.0 876.0,48.0 \"") == 1);
}

TEST_CASE("Names cannot break out of the picture", "[eval]") {
  const std::string svg = to_svg({.title = "<script>&\"", .series = {{.name = "a<b", .y = {1}}}});

  CHECK(count(svg, "<script") == 0);
  CHECK(count(svg, "&lt;script&gt;&amp;&quot;") == 1);
  CHECK(count(svg, "a&lt;b") == 1);
}

TEST_CASE("Series of one color share it", "[eval]") {
  const std::string svg =
      to_svg({.series = {{.name = "a", .y = {1, 2}, .color = 3}, {.name = "b", .y = {2, 1}, .color = 3}}});

  CHECK(count(svg, "stroke=\"#cc79a7\"") == 4);
}
