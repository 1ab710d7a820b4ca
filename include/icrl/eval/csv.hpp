// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <icrl/eval/plot.hpp>

namespace icrl {

namespace detail {

[[nodiscard]] inline std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string{"\"\""} : std::string{c};
  return quoted + '"';
}

}  // namespace detail

/// The numbers of a plot, one line per value (RFC 4180): series, x, y, low, high. Low and high are empty without a
/// band. Levels come last, without an x.
[[nodiscard]] inline std::string to_csv(const Plot& plot) {
  validate(plot);
  std::string csv = "series," + detail::csv_text(plot.x_label) + "," + detail::csv_text(plot.y_label) + ",low,high\n";
  for (const PlotSeries& series : plot.series) {
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      csv += fmt::format("{},{},{}", detail::csv_text(series.name), i + 1, series.y[i]);
      csv += series.band.empty() ? ",,\n" : fmt::format(",{},{}\n", series.band[i].low, series.band[i].high);
    }
  }
  for (const PlotLevel& level : plot.levels) csv += fmt::format("{},,{},,\n", detail::csv_text(level.name), level.y);
  return csv;
}

}  // namespace icrl
