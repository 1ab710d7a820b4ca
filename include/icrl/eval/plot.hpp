// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/eval/statistics.hpp>

namespace icrl {

/// How the line of a series is drawn.
enum class PlotStroke { solid, dashed, dotted };

/// One line of a plot; y[i] is drawn at x = i + 1.
struct PlotSeries {
  std::string name{};                     ///< for the legend
  std::vector<double> y{};                ///< one value per episode
  std::vector<Interval> band{};           ///< one interval around each y, or empty
  PlotStroke stroke = PlotStroke::solid;  ///< used only by the SVG output
  int color = -1;  ///< index into the palette of eight; -1: the next one, by position in the plot
};

/// The palette index of series i of a plot.
[[nodiscard]] inline std::size_t color_of(const PlotSeries& series, std::size_t i) {
  return static_cast<std::size_t>(series.color < 0 ? static_cast<int>(i) : series.color) % 8;
}

/// A horizontal line for comparison.
struct PlotLevel {
  std::string name{};  ///< for the legend
  double y = 0;        ///< where the line lies
};

/// A plot of curves over episodes. Output it with `to_svg`, `to_terminal` or `to_csv`.
struct Plot {
  std::string title{}, x_label{"episode"}, y_label{"return"};  ///< above the plot, and at its axes
  std::vector<PlotSeries> series{};                            ///< drawn in this order
  std::vector<PlotLevel> levels{};                             ///< drawn over the whole width
};

/// Throws Error for a plot without values, a value that is not finite or beyond 1e300, or a band whose length differs
/// from its series.
inline void validate(const Plot& plot) {
  bool has_value = false;
  const auto check_finite = [&](const std::string& name, double value) {
    if (!(std::abs(value) <= 1e300))
      fail("plot \"{}\": \"{}\" has the value {}, it must be finite and within 1e300", plot.title, name, value);
  };
  for (const PlotSeries& series : plot.series) {
    if (!series.band.empty() && series.band.size() != series.y.size()) {
      fail("plot \"{}\": \"{}\" has {} values, but its band has {} intervals", plot.title, series.name, series.y.size(),
           series.band.size());
    }
    for (const double y : series.y) check_finite(series.name, y);
    for (const Interval& interval : series.band) {
      check_finite(series.name, interval.low);
      check_finite(series.name, interval.high);
    }
    has_value = has_value || !series.y.empty();
  }
  for (const PlotLevel& level : plot.levels) check_finite(level.name, level.y);
  if (!has_value) fail("plot \"{}\": there is nothing to draw, no series has a value", plot.title);
}

namespace detail {

/// The ranges of a plot's axes and the positions of their marks.
struct PlotFrame {
  int x_last = 1;
  double y_low = 0, y_high = 1, y_step = 1;

  [[nodiscard]] std::vector<double> y_marks() const {
    std::vector<double> marks;
    for (int i = 0; y_low + i * y_step <= y_high + y_step / 1000; ++i) marks.push_back(y_low + i * y_step);
    return marks;
  }
};

/// The distance of marks: 1, 2 or 5 times a power of ten, at least 1 / `parts` of the range.
[[nodiscard]] inline double round_step(double range, int parts) {
  const double least = range / parts, power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * 0.999) return factor * power;
  return 10 * power;
}

[[nodiscard]] inline PlotFrame frame_of(const Plot& plot) {
  validate(plot);
  PlotFrame frame;
  double low = 0, high = 0;
  const auto cover = [&](double y) {
    low = std::min(low, y);
    high = std::max(high, y);
  };
  for (const PlotSeries& series : plot.series) {
    frame.x_last = std::max(frame.x_last, static_cast<int>(series.y.size()));
    for (const double y : series.y) cover(y);
    for (const Interval& interval : series.band) {
      cover(interval.low);
      cover(interval.high);
    }
  }
  for (const PlotLevel& level : plot.levels) cover(level.y);
  if (high == low) high = low + 1;
  frame.y_step = round_step(high - low, 6);
  frame.y_low = frame.y_step * std::floor(low / frame.y_step);
  frame.y_high = frame.y_step * std::ceil(high / frame.y_step - 1e-9);
  return frame;
}

}  // namespace detail

}  // namespace icrl
