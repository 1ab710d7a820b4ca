// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/eval/plot.hpp>

namespace icrl {

/// The size and the colors of a plot in a terminal.
struct TerminalPlotConfig {
  int columns = 72;        ///< size of the area for the lines, in characters
  int rows = 16;           ///< without the title and the x axis
  bool has_color = false;  ///< ANSI colors
};

namespace detail {

inline constexpr std::string_view plot_marks = "ox+*#@%&";

/// The character for series i.
[[nodiscard]] inline std::string plot_mark(const Plot& plot, std::size_t i, bool has_color) {
  static constexpr int codes[8] = {34, 31, 32, 35, 36, 33, 90, 37};
  const char mark = plot_marks[i % plot_marks.size()];
  return has_color ? fmt::format("\x1b[{}m{}\x1b[0m", codes[color_of(plot.series[i], i)], mark) : std::string{mark};
}

}  // namespace detail

/// A plot as text. A column shows the mean of the values that fall into it. Where lines meet, the later series is
/// shown.
[[nodiscard]] inline std::string to_terminal(const Plot& plot, const TerminalPlotConfig& config = {}) {
  if (config.columns < 2 || config.rows < 2)
    fail("terminal plot: it has {} columns and {} rows, it needs at least 2 of each", config.columns, config.rows);
  const detail::PlotFrame frame = detail::frame_of(plot);
  const auto columns = static_cast<std::size_t>(std::min(config.columns, std::max(2, frame.x_last)));
  const auto rows = static_cast<std::size_t>(config.rows);
  constexpr int nothing = -1, level = -2;
  std::vector<std::vector<int>> cells(rows, std::vector<int>(columns, nothing));
  const auto row_of = [&](double y) {
    const double share = (y - frame.y_low) / (frame.y_high - frame.y_low);
    return rows - 1 -
           static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(rows - 1)));
  };
  for (const PlotLevel& line : plot.levels)
    std::fill(cells[row_of(line.y)].begin(), cells[row_of(line.y)].end(), level);
  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const std::vector<double>& y = plot.series[s].y;
    const auto first_of = [&](std::size_t column) { return column * static_cast<std::size_t>(frame.x_last) / columns; };
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t first = first_of(column), last = std::min(y.size(), std::max(first + 1, first_of(column + 1)));
      if (first >= last) continue;
      double total = 0;
      for (std::size_t i = first; i < last; ++i) total += y[i];
      cells[row_of(total / static_cast<double>(last - first))][column] = static_cast<int>(s);
    }
  }

  std::string text = plot.title + "\n";
  const auto label_of = [&](std::size_t row) {
    for (const double y : frame.y_marks())
      if (row_of(y) == row) return fmt::format("{:>7.4g}", std::abs(y) < 1e-12 ? 0.0 : y);
    return std::string(7, ' ');
  };
  for (std::size_t row = 0; row < rows; ++row) {
    text += label_of(row) + " |";
    for (const int cell : cells[row]) {
      if (cell >= 0) {
        text += detail::plot_mark(plot, static_cast<std::size_t>(cell), config.has_color);
      } else {
        text += cell == level ? '-' : ' ';
      }
    }
    for (const PlotLevel& line : plot.levels)
      if (row_of(line.y) == row) text += " " + line.name;
    text += "\n";
  }
  text += std::string(8, ' ') + "+" + std::string(columns, '-') + "\n";
  const std::string last = fmt::format("{}", frame.x_last);
  const std::size_t gap = columns > last.size() + 1 ? columns - last.size() - 1 : 1;
  text += std::string(9, ' ') + "1" + fmt::format("{:^{}}", plot.x_label, gap) + last + "\n";
  for (std::size_t s = 0; s < plot.series.size(); ++s)
    text += std::string(9, ' ') + detail::plot_mark(plot, s, config.has_color) + "  " + plot.series[s].name + "\n";
  return text;
}

}  // namespace icrl
