// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/env/space_labels.hpp>
#include <icrl/eval/html_page.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/io/json_text.hpp>

namespace icrl {

/// How `to_html` shows a history. The limits bound the page: a point takes at most 48 bytes.
struct HtmlConfig {
  std::string title{};     ///< empty: algorithm, task and seed of the history
  SpaceLabels labels{};    ///< names, units and scales for the axes
  int columns = 0;         ///< of the grid that a Discrete space numbers row by row; 0: a square, or else one row
  int max_paths = 100;     ///< episodes whose paths are kept, at least 2
  int max_points = 200;    ///< points of a path, at least 2
  int max_returns = 1000;  ///< points of the return curve, at least 1
};

namespace detail {

/// Numbers of JSON. Nine digits give back a float.
[[nodiscard]] inline std::string html_number(double number, std::string_view what) {
  if (!std::isfinite(number)) fail("html: {} is {}, it must be finite", what, number);
  return fmt::format("{:.9g}", number);
}

/// Throws Error, which says what it is, for a text that is not UTF-8.
[[nodiscard]] inline JsonText html_text(const std::string& text, std::string_view what) {
  try {
    return text;
  } catch (const Error& error) {
    fail("html: {}: {}", what, error.what());
  }
}

/// One axis of the place: its text, and for a plane its range in units of its label.
struct HtmlAxis {
  std::string text;
  double scale = 1;
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void cover(double number) {
    low = std::min(low, number);
    high = std::max(high, number);
  }
  [[nodiscard]] std::string json() const {
    const std::string label = html_text(text, "a label").text();
    if (low > high) return fmt::format("{{\"label\":{}}}", label);
    const double margin = low == high ? std::max(0.5, 1e-6 * std::abs(low)) : 0;  // more than the digits leave out
    return fmt::format("{{\"label\":{},\"low\":{},\"high\":{}}}", label, html_number(low - margin, "a bound"),
                       html_number(high + margin, "a bound"));
  }
};

/// Writes the numbers of a page.
class HtmlData {
public:
  HtmlData(const HistoryView& history, const HtmlConfig& config) : history_{history}, config_{config} {
    const auto check = [](const char* name, int value, int least) {
      constexpr int most = 100000;  // a browser has to hold as many numbers, and so many have no room on a screen
      if (value < least || value > most) fail("html: {} is {}, it must lie in {} .. {}", name, value, least, most);
    };
    check("columns", config.columns, 0);
    check("max_paths", config.max_paths, 2);
    check("max_points", config.max_points, 2);
    check("max_returns", config.max_returns, 1);
    if (history.episode_count() == 0) fail("html: the history has no finished episode");
    const Space& space = history.info().observation_space;
    validate(config.labels, space, history.info().action_space, "html");
    std::visit([&](const auto& kind) { choose_place(kind); }, space);
  }

  [[nodiscard]] std::string json() {
    std::string episodes;
    for (const int index : kept_episodes()) episodes += (episodes.empty() ? "" : ",\n") + episode_json(index);
    const int count = history_.episode_count(), stride = return_stride();
    std::string returns;
    for (int first = 0; first < count; first += stride) {
      const int last = std::min(first + stride, count);
      double total = 0;
      for (int i = first; i < last; ++i) total += history_.episode(i).total_reward();
      returns += (first == 0 ? "" : ",") + html_number(total / (last - first), "a return");
    }
    return fmt::format(
        "{{\"kind\":\"{}\",\"rows\":{},\"columns\":{},\"x\":{},\"y\":{},\"episode_count\":{},\"return_stride\":{},\n"
        "\"returns\":[{}],\n\"episodes\":[{}]}}",
        is_plane_ ? "plane" : "grid", rows_, columns_, x_.json(), y_.json(), count, stride, returns, episodes);
  }

  /// What was left out, for people; empty if nothing was.
  [[nodiscard]] std::string remark() const {
    std::string text;
    const int count = history_.episode_count();
    if (count > config_.max_paths) {
      text += fmt::format(" Paths of {} episodes are kept: the first, the last, and others evenly between them.",
                          config_.max_paths);
    }
    if (return_stride() > 1) {
      text +=
          fmt::format(" The curve has a point per {} episodes, their mean; the last may have fewer.", return_stride());
    }
    int longest = 0;
    for (const int index : kept_episodes()) longest = std::max(longest, history_.episode_length(index));
    if (point_stride(longest) > 1) {
      text += fmt::format(
          " Of an episode with more than {} steps every n-th point is kept, n as small as possible, and the last; a "
          "point has the rewards since the one before.",
          config_.max_points - 1);
    }
    return text;
  }

private:
  void choose_place(const Discrete& space) { choose_cells(space.count); }
  void choose_place(const MultiDiscrete& space) {
    if (space.counts.size() == 1) return choose_cells(space.counts[0]);
    if (space.counts.size() != 2) refuse();
    rows_ = space.counts[0];
    columns_ = space.counts[1];
    y_.text = grid_text(0, "row");
    x_.text = grid_text(1, "column");
  }
  void choose_place(const Box& space) {
    if (space.low.size() != 2) refuse();
    is_plane_ = true;
    const auto choose = [&](std::size_t i, HtmlAxis& axis) {
      axis.text = "observation " + std::to_string(i) + " (no unit)";
      if (!config_.labels.observations.empty()) {
        const ComponentLabel& label = config_.labels.observations[i];
        axis.text = label.name + (label.unit.empty() ? " (no unit)" : " (" + label.unit + ")");
        axis.scale = label.scale;
      }
      for (const float bound : {space.low[i], space.high[i]})
        if (std::isfinite(bound)) axis.cover(axis.scale * static_cast<double>(bound));
    };
    choose(0, x_);
    choose(1, y_);
  }
  void choose_cells(int count) {
    columns_ = config_.columns;
    if (columns_ == 0) {
      const auto root = static_cast<int>(std::lround(std::sqrt(count)));
      columns_ = root * root == count ? root : count;
    }
    columns_ = std::min(columns_, count);
    rows_ = (count + columns_ - 1) / columns_;
    y_.text = "row (cells)";
    x_.text = "column (cells)";
  }
  [[noreturn]] void refuse() const {
    fail(
        "html: observations are {}, not cells of a grid or points of a plane (Discrete, MultiDiscrete of 2 or Box of 2)",
        to_short_string(history_.info().observation_space));
  }
  [[nodiscard]] std::string grid_text(std::size_t i, const char* otherwise) const {
    if (config_.labels.observations.empty()) return std::string{otherwise} + " (cells)";
    return config_.labels.observations[i].name + " (cells)";
  }

  [[nodiscard]] int return_stride() const {
    return (history_.episode_count() + config_.max_returns - 1) / config_.max_returns;
  }
  /// The first, the last, and others evenly between them.
  [[nodiscard]] std::vector<int> kept_episodes() const {
    const int count = history_.episode_count(), kept = std::min(count, config_.max_paths);
    std::vector<int> indices;
    for (std::int64_t i = 0; i < kept; ++i)
      indices.push_back(kept == 1 ? 0 : static_cast<int>(i * (count - 1) / (kept - 1)));
    return indices;
  }
  [[nodiscard]] int point_stride(int length) const {
    return std::max(1, (length + config_.max_points - 2) / (config_.max_points - 1));
  }

  [[nodiscard]] std::string point(const EpisodeView& episode, int t) {
    float values[2] = {};
    const std::span<float> all{values, static_cast<std::size_t>(value_count(history_.info().observation_space))};
    episode.observation(t, all);
    if (!is_plane_) {
      const auto first = static_cast<std::int64_t>(values[0]);
      return std::to_string(all.size() == 1 ? first : first * columns_ + static_cast<std::int64_t>(values[1]));
    }
    const double x = x_.scale * static_cast<double>(values[0]), y = y_.scale * static_cast<double>(values[1]);
    x_.cover(x);
    y_.cover(y);
    return html_number(x, "a position") + "," + html_number(y, "a position");
  }

  [[nodiscard]] std::string episode_json(int index) {
    const EpisodeView episode = history_.episode(index);
    const int length = episode.length(), stride = point_stride(length);
    std::string path = point(episode, 0), rewards;
    double reward = 0;
    int count = 0;
    for (int t = 1; t <= length; ++t) {
      reward += static_cast<double>(episode.reward(t - 1));
      if (t % stride != 0 && t != length) continue;
      path += "," + point(episode, t);
      rewards += (count++ == 0 ? "" : ",") + html_number(std::exchange(reward, 0.0), "a reward");
    }
    return fmt::format(
        "{{\"number\":{},\"length\":{},\"stride\":{},\"path_length\":{},\"return\":{},\"ending\":\"{}\",\"path\":[{}],"
        "\"rewards\":[{}]}}",
        index + 1, length, stride, count, html_number(episode.total_reward(), "a return"),
        episode.terminated() ? "terminated" : "truncated", path, rewards);
  }

  HistoryView history_;
  const HtmlConfig& config_;
  bool is_plane_ = false;
  int rows_ = 0, columns_ = 0;
  HtmlAxis x_, y_;
};

/// JSON inside a script element, which ends at the first end tag, wherever that stands.
[[nodiscard]] inline std::string json_in_html(std::string json) {
  std::string escaped;
  for (const char c : json) c == '<' ? escaped += "\\u003c" : escaped += c;
  return escaped;
}

}  // namespace detail

/// One HTML page without any other file that replays a history episode by episode beside its return curve. Observations
/// are cells of a grid (MultiDiscrete of a row and a column, or Discrete: cells row by row) or points of a plane (Box
/// of 2 numbers, the first to the right, the second up). Long histories are thinned out, and the page says how: paths
/// of the first, the last and evenly spaced episodes, every n-th point of long paths, means of n returns. Throws Error
/// for other observations, a history without episodes, labels that do not fit, texts that are not UTF-8, and numbers
/// that are not finite.
[[nodiscard]] inline std::string to_html(const HistoryView& history, const HtmlConfig& config = {}) {
  detail::HtmlData data{history, config};
  const HistoryInfo& info = history.info();
  const std::string title =
      config.title.empty() ? fmt::format("{}, task {}, seed {}", info.algorithm, info.task, info.seed) : config.title;
  (void)detail::html_text(title, "the title");
  const std::string numbers = detail::json_in_html(data.json());
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; style-src "
      "'unsafe-inline'\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n"
      "<p class=\"note\">{2} episodes, {3} steps.{4}</p>{5}</main>\n"
      "<script type=\"application/json\" id=\"data\">{6}</script>\n<script>{7}</script>\n</body>\n</html>\n",
      detail::xml_text(title), detail::html_style, history.episode_count(), history.step_count(), data.remark(),
      detail::html_body, numbers, detail::html_script);
}

}  // namespace icrl
