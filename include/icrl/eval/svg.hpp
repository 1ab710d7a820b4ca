// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <icrl/eval/plot.hpp>

namespace icrl {

namespace detail {

/// Colors that are distinguishable with any color vision; the first six are from Okabe & Ito (2008).
[[nodiscard]] inline std::string_view plot_color(const PlotSeries& series, std::size_t index) {
  static constexpr std::array<std::string_view, 8> colors{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                          "#56b4e9", "#e69f00", "#666666", "#a09000"};
  return colors[color_of(series, index)];
}

[[nodiscard]] inline std::string xml_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

/// Writes a plot part by part into one text.
class SvgDrawing {
public:
  explicit SvgDrawing(const Plot& plot) : plot_{plot}, frame_{frame_of(plot)} {}

  [[nodiscard]] std::string draw() {
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"#ffffff\"/>\n",
        width, height());
    text(left, 28, "start", plot_.title, 18);
    draw_axes();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) draw_band(plot_.series[i], plot_color(plot_.series[i], i));
    draw_levels();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) draw_line(plot_.series[i], plot_color(plot_.series[i], i));
    draw_legend();
    return svg_ + "</svg>\n";
  }

private:
  static constexpr double width = 900, left = 64, right = 876, top = 48, bottom = 440, legend_row = 22;

  [[nodiscard]] double height() const {
    const std::size_t legend_rows = (plot_.series.size() + 1) / 2;
    return bottom + 60 + legend_row * static_cast<double>(legend_rows);
  }
  [[nodiscard]] double x_of(double x) const {
    return frame_.x_last == 1 ? (left + right) / 2 : left + (right - left) * (x - 1) / (frame_.x_last - 1);
  }
  [[nodiscard]] double y_of(double y) const {
    return bottom - (bottom - top) * (y - frame_.y_low) / (frame_.y_high - frame_.y_low);
  }

  void text(double x, double y, std::string_view anchor, std::string_view words, int size = 14) {
    svg_ +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"#222222\">{}</text>\n",
                    x, y, anchor, size, xml_text(words));
  }
  void line(double x1, double y1, double x2, double y2, std::string_view style) {
    svg_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
  }

  void draw_axes() {
    for (const double y : frame_.y_marks()) {
      line(left, y_of(y), right, y_of(y), "stroke=\"#e4e4e4\"");
      text(left - 8, y_of(y) + 5, "end", fmt::format("{:g}", std::abs(y) < 1e-12 ? 0.0 : y));
    }
    const int step = std::max(1, static_cast<int>(round_step(frame_.x_last, 10)));
    text(x_of(1), bottom + 20, "middle", "1");
    for (int x = step; x <= frame_.x_last; x += step)
      if (x > 1) text(x_of(x), bottom + 20, "middle", fmt::format("{}", x));
    line(left, bottom, right, bottom, "stroke=\"#222222\"");
    text((left + right) / 2, bottom + 42, "middle", plot_.x_label);
    svg_ += fmt::format(
        "<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\" fill=\"#222222\">{}</text>\n",
        (top + bottom) / 2, xml_text(plot_.y_label));
  }

  void draw_levels() {
    for (const PlotLevel& level : plot_.levels) {
      line(left, y_of(level.y), right, y_of(level.y), "stroke=\"#222222\" stroke-dasharray=\"2 4\"");
      text(right, y_of(level.y) - 5, "end", level.name, 12);
    }
  }

  void draw_band(const PlotSeries& series, std::string_view color) {
    if (series.band.empty()) return;
    std::string points;
    for (std::size_t i = 0; i < series.band.size(); ++i)
      points += fmt::format("{:.1f},{:.1f} ", x_of(static_cast<double>(i + 1)), y_of(series.band[i].low));
    for (std::size_t i = series.band.size(); i-- > 0;)
      points += fmt::format("{:.1f},{:.1f} ", x_of(static_cast<double>(i + 1)), y_of(series.band[i].high));
    svg_ += fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"0.13\"/>\n", points, color);
  }

  void draw_line(const PlotSeries& series, std::string_view color) {
    std::string points;
    for (std::size_t i = 0; i < series.y.size(); ++i)
      points += fmt::format("{:.1f},{:.1f} ", x_of(static_cast<double>(i + 1)), y_of(series.y[i]));
    svg_ += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\" stroke-linejoin=\"round\"{}/>\n",
        points, color, dash(series));
  }

  /// Below the axis, two names per row.
  void draw_legend() {
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      const std::size_t row = i / 2;
      const double x = left + (i % 2 == 0 ? 0 : (right - left) / 2),
                   y = bottom + 66 + legend_row * static_cast<double>(row);
      line(x, y, x + 28, y,
           fmt::format("stroke=\"{}\" stroke-width=\"3\"{}", plot_color(plot_.series[i], i), dash(plot_.series[i])));
      text(x + 36, y + 5, "start", plot_.series[i].name);
    }
  }

  static std::string_view dash(const PlotSeries& series) {
    if (series.stroke == PlotStroke::dashed) return " stroke-dasharray=\"7 5\"";
    if (series.stroke == PlotStroke::dotted) return " stroke-dasharray=\"2 3\"";
    return "";
  }

  const Plot& plot_;
  PlotFrame frame_;
  std::string svg_;
};

}  // namespace detail

/// A plot as a complete SVG document. Throws Error like `validate`.
[[nodiscard]] inline std::string to_svg(const Plot& plot) { return detail::SvgDrawing{plot}.draw(); }

}  // namespace icrl
