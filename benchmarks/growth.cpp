// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Draws how time and memory grow from the points that growth.sh has measured: a picture for each curve, and a page with
// the points, the lines fitted to them and the bounds that they have to keep.
//
//   growth BENCH.jsonl --folder docs/results [--about "Machine=…"]
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <icrl/eval/svg.hpp>

#include "support/program.hpp"

using namespace icrl;
using Json = nlohmann::json;

namespace {

struct Point {
  double x, y;
  double regressor;  ///< what the line is fitted over: x, or a figure that x stands for
};
using Points = std::vector<Point>;

/// y = intercept + slope * regressor, by least squares.
struct Line {
  double intercept, slope, r_squared;

  [[nodiscard]] double at(double x) const { return intercept + slope * x; }
};

Line fit(const Points& points) {
  const auto n = static_cast<double>(points.size());
  double x = 0, y = 0, xx = 0, xy = 0, yy = 0;
  for (const Point& p : points) {
    x += p.regressor / n;
    y += p.y / n;
  }
  for (const Point& p : points) {
    xx += (p.regressor - x) * (p.regressor - x);
    xy += (p.regressor - x) * (p.y - y);
    yy += (p.y - y) * (p.y - y);
  }
  const double slope = xx > 0 ? xy / xx : 0;
  return {y - slope * x, slope, xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 1};
}

/// What becomes of the line fitted to a curve: it is drawn, only told of, or neither.
enum class Fit { drawn, told, none };

/// One line of a chart.
struct Curve {
  std::string name, pattern;  ///< the pattern of its points' names, whose group is x
  std::function<double(const Json&)> y;
  Fit fit = Fit::drawn;
  std::string regressor = {};  ///< the key of what the line is fitted over; none: x
  PlotStroke stroke = PlotStroke::solid;
};

struct Chart {
  std::string file, title, x_name, y_name;
  double unit;  ///< x of the first point, and the distance of points
  std::vector<Curve> curves;
  std::string text = {};  ///< below the title
};

/// Figures of a line of JSON, as the curves want them.
std::function<double(const Json&)> figure(const std::string& key, double factor = 1) {
  return [=](const Json& line) { return factor * line.at(key).get<double>(); };
}
double microseconds_a_token(const Json& line) { return 1e6 / line.at("value").get<double>(); }

constexpr double megabyte = 1e-6;

const std::vector<Chart>& charts() {
  static const std::string train = "extra_growth_context_train_d64_L4_H4_T(\\d+)_B16";
  static const std::string act = "extra_growth_context_act_d64_L4_H4_T(\\d+)";
  static const std::string batch = "extra_growth_batch_train_d64_L4_H4_T80_B(\\d+)";
  static const std::string wide_train = "extra_growth_width_train_d(\\d+)_L4_H4_T80_B16";
  static const std::string wide_act = "extra_growth_width_act_d(\\d+)_L4_H4_T200";
  static const std::string group = "extra_growth_agents_act_d64_L4_H4_T200_B(\\d+)";
  static const std::string threads_train = "extra_growth_threads_threads(\\d+)_train_d64_L4_H4_T80_B64";
  static const std::string threads_act = "extra_growth_threads_threads(\\d+)_act_d64_L4_H4_T200_B64";
  static const std::string memory_agent = "extra_growth_context_memory_agent_d64_L4_H4_T(\\d+)";
  static const std::string memory_train = "extra_growth_context_memory_threads1_train_d64_L4_H4_T(\\d+)_B16";
  static const std::string memory_threads = "extra_growth_threads_memory_threads(\\d+)_train_d64_L4_H4_T80_B16";
  static const std::vector<Chart> all{
      {"growth_train_context",
       "Training by context (d = 64, 4 layers, one thread)",
       "context T",
       "us a token",
       64,
       {{"whole step", train, microseconds_a_token}, {"attention alone", train, figure("attention_us")}},
       "*Attention alone* is forward and backward of the attention layers with their linear maps, measured by itself in "
       "the same runs. What grows with T is the scores: every token looks at T / 2 others in the mean. The maps are its "
       "intercept, all else of the step is the intercept of the whole step."},
      {"growth_train_batch",
       "Training by batch (d = 64, 4 layers, T = 80, one thread)",
       "windows B",
       "us a token",
       16,
       {{"whole step", batch, microseconds_a_token}},
       "Windows are trained on one after another, so that each stays in a core's cache. What a step does once, adding up "
       "gradients and AdamW, is shared by more tokens where the batch is larger."},
      {"growth_train_width",
       "Training by width (4 layers, T = 80, B = 16, one thread)",
       "width d",
       "us a token",
       32,
       {{"whole step", wide_train, microseconds_a_token, Fit::drawn, "mflop_per_token"}},
       "Fitted over the MFLOP that a token takes, 6 x (weights of the blocks' and the head's matrices) + 6 L d T."},
      {"growth_act_context",
       "One action by context (d = 64, 4 layers, one thread)",
       "context T",
       "us",
       128,
       {{"median step", act, figure("value")},
        {"fullest step", act, figure("fullest")},
        {"reading the median step's memory", act, figure("floor"), Fit::none, {}, PlotStroke::dotted}},
       "The two contexts of an agent hold T steps together in the median step and 3 T / 2 in the fullest."},
      {"growth_act_width",
       "One action by width (4 layers, T = 200, one thread)",
       "width d",
       "us",
       32,
       {{"median step", wide_act, figure("value"), Fit::none},
        {"reading the median step's memory", wide_act, figure("floor"), Fit::none, {}, PlotStroke::dotted}},
       "Weights grow with the square of d, keys and values with d. Where both outgrow a cache the curve turns."},
      {"growth_act_agents",
       "One pass by agents (d = 64, 4 layers, T = 200, one thread)",
       "agents N",
       "us a pass",
       8,
       {{"median step", group, figure("value"), Fit::told},
        {"reading the median step's memory", group, figure("floor"), Fit::none, {}, PlotStroke::dotted}},
       "A pass reads the weights once, and the keys and values of every agent; these outgrow the caches."},
      {"growth_threads",
       "Threads (d = 64, 4 layers)",
       "threads",
       "times one thread",
       1,
       {{"training, B = 64", threads_train, figure("ratio"), Fit::none},
        {"64 agents, a group for each thread", threads_act, figure("ratio"), Fit::none}},
       "Speed-up over one thread, in turns with it. A pass over a group of agents is one thread's work; the agents were "
       "divided into a group for each thread."},
      {"growth_memory_agent",
       "Memory of an agent by context (d = 64, 4 layers)",
       "context T",
       "MB",
       64,
       {{"measured", memory_agent, figure("value", megabyte)},
        {"formula", memory_agent, figure("formula", megabyte), Fit::none, {}, PlotStroke::dashed}},
       "The formula: 4 bytes x (2 contexts x (L layers x 2 d T' + 1088) + T F). `KeyValueCache` holds keys (d, T') and "
       "values (T', d) for each layer, T' being T filled up to whole cache lines of 16 numbers; 1088 is the gap to the "
       "next; T F are the rows of the last episode, of F features. Measured is the memory that the process occupies."},
      {"growth_memory_train",
       "Memory of training by context (d = 64, 4 layers, B = 16, one thread)",
       "context T",
       "MB",
       64,
       {{"measured", memory_train, figure("value", megabyte), Fit::none},
        {"formula", memory_train, figure("formula", megabyte), Fit::none, {}, PlotStroke::dashed}},
       "The formula: 4 bytes x ((3 + S) W + R + threads x A + B T (F + 2)). W weights are kept 3 + S times: themselves, "
       "AdamW's two moments, and a gradient in each of S = 4 slots. A is what a thread keeps of the window that it works "
       "on, the `Cache` and `Scratch` structures of the layers, P being the head's outputs and b = T / 16 the blocks of "
       "rows of scores. With products in bfloat16: L (9 T d + (2 + H) T + 64 H b (b + 1)) for the blocks, 31 T d / 2 + (1 "
       "+ H) T + 648 d + 64 b (b + 1) + 16 b (d / 2H + 24) + 16 d / H + 2 T P for what exists once (648 d is what a block "
       "of 48 rows takes), and R = 12 (L + 1) d^2 for the rounded matrices. In float: L (14 T d + 2 "
       "T + 128 H b (b + 1)), 15 T d + T + 16 b (d / H + 16) + 2 T P, and no R. B T (F + 2) are the windows: features, "
       "label and weight. The triangles of scores are what makes it grow faster than T. Measured is the memory that the "
       "process occupies."},
      {"growth_memory_threads",
       "Memory of training by threads (d = 64, 4 layers, T = 80, B = 16)",
       "threads",
       "MB",
       1,
       {{"measured", memory_threads, figure("value", megabyte), Fit::none},
        {"formula", memory_threads, figure("formula", megabyte), Fit::none, {}, PlotStroke::dashed}},
       "Every thread adds what it keeps; weights, moments, gradient slots and windows do not "
       "depend on the threads."},
  };
  return all;
}

std::vector<Json> read_lines(const std::filesystem::path& path) {
  std::ifstream in{path};
  if (!in) fail("cannot open {}", path.string());
  std::vector<Json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

/// The points of a curve by x. Throws Error where there are none, or not all of the same distance.
Points points_of(const Curve& curve, double unit, const std::vector<Json>& lines) {
  const std::regex pattern{curve.pattern};
  Points points;
  for (const Json& line : lines) {
    const auto name = line.at("name").get<std::string>();
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) continue;
    const double x = std::stod(match[1]);
    points.push_back({x, curve.y(line), curve.regressor.empty() ? x : line.at(curve.regressor).get<double>()});
  }
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
  if (points.empty()) fail("no measurement is called {} (was benchmarks/growth.sh run?)", curve.pattern);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].x != unit * static_cast<double>(i + 1))
      fail("{}: point {} is at {}, plots want a multiple of {}", curve.pattern, i + 1, points[i].x, unit);
  }
  return points;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out{path};
  out << text;
  if (!out.flush()) fail("cannot write {}", path.string());
}

/// A chart's lines and, dashed in the same color, what was fitted to them.
std::string picture(const Chart& chart, const std::vector<Points>& all) {
  Plot plot{.title = chart.title,
            .x_label = chart.unit == 1 ? chart.x_name : fmt::format("{} / {:g}", chart.x_name, chart.unit),
            .y_label = chart.y_name};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Curve& curve = chart.curves[i];
    const int color = static_cast<int>(i);
    PlotSeries measured{.name = curve.name, .stroke = curve.stroke, .color = color};
    PlotSeries fitted{.name = curve.name + ", fitted", .stroke = PlotStroke::dashed, .color = color};
    const Line line = fit(all[i]);
    for (const Point& point : all[i]) {
      measured.y.push_back(point.y);
      fitted.y.push_back(line.at(point.regressor));
    }
    plot.series.push_back(measured);
    if (curve.fit == Fit::drawn) plot.series.push_back(fitted);
  }
  return to_svg(plot);
}

std::string table(const Chart& chart, const std::vector<Points>& all) {
  std::string head = fmt::format("| {} |", chart.x_name), rule = "|---|";
  for (const Curve& curve : chart.curves) {
    head += fmt::format(" {}, {} |", curve.name, chart.y_name);
    rule += "---|";
  }
  std::string text = head + "\n" + rule + "\n";
  for (std::size_t row = 0; row < all[0].size(); ++row) {
    text += fmt::format("| {:g} |", all[0][row].x);
    for (const Points& points : all) text += fmt::format(" {:.4g} |", points.at(row).y);
    text += "\n";
  }
  return text;
}

std::string section(const Chart& chart, const std::vector<Points>& all, bool has_picture) {
  std::string text = fmt::format("## {}\n\n{}\n\n", chart.title, chart.text);
  if (has_picture) text += fmt::format("![{}]({}.svg)\n\n", chart.title, chart.file);
  text += table(chart, all) + "\n";
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (chart.curves[i].fit == Fit::none) continue;
    const Line line = fit(all[i]);
    text += fmt::format("- {}: slope {:.4g} {} for each {}, intercept {:.4g}, R² {:.4f}\n", chart.curves[i].name,
                        line.slope, chart.y_name, chart.curves[i].regressor.empty() ? chart.x_name : "MFLOP",
                        line.intercept, line.r_squared);
  }
  return text + "\n";
}

/// Largest value over smallest, less one.
double variation(const Points& points) {
  const auto [low, high] =
      std::minmax_element(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
  return high->y / low->y - 1;
}

/// Largest distance of measured points from those of the formula, as a share of these.
double deviation(const Points& measured, const Points& formula) {
  double largest = 0;
  for (std::size_t i = 0; i < measured.size(); ++i)
    largest = std::max(largest, std::abs(measured[i].y / formula.at(i).y - 1));
  return largest;
}

/// The bounds that growth has to keep, one line for each that a chart is about.
std::string bounds(const Chart& chart, const std::vector<Points>& all) {
  const auto verdict = [&](bool is_met, const std::string& what, double value, const std::string& bound) {
    return fmt::format("- {}: {}: {:.4g}, {}\n", is_met ? "met" : "NOT MET", what, value, bound);
  };
  const auto linear = [&](std::size_t i, const std::string& what) {
    const double r_squared = fit(all[i]).r_squared;
    return verdict(r_squared >= 0.99 && all[i].size() >= 6,
                   fmt::format("{} is linear in T, R² over {} points", what, all[i].size()), r_squared,
                   "at least 0.99 over six");
  };
  if (chart.file == "growth_train_context") return linear(1, "attention's time a token of training");
  if (chart.file == "growth_act_context") return linear(0, "an action's median time") + linear(1, "its fullest step");
  if (chart.file == "growth_train_batch") {
    const double value = variation(all[0]);
    return verdict(value <= 0.10, "training's time a token is flat in B, largest / smallest - 1", value, "at most 0.1");
  }
  if (chart.file.starts_with("growth_memory_")) {
    const double value = deviation(all[0], all[1]);
    return verdict(value <= 0.10, chart.title + ", distance from the formula", value, "at most 0.1");
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path jsonl, folder;
  std::vector<std::string> about;
  CLI::App app{"Draws how time and memory grow"};
  app.add_option("jsonl", jsonl, "lines of JSON from growth.sh")->required()->check(CLI::ExistingFile);
  app.add_option("--folder", folder, "where pictures and page go")->required()->check(CLI::ExistingDirectory);
  app.add_option("--about", about, "KEY=VALUE lines for the page's head");

  return bench::run_program(app, argc, argv, [&] {
    const auto lines = read_lines(jsonl);
    std::string sections, verdicts;
    for (const Chart& chart : charts()) {
      std::vector<Points> all;
      for (const Curve& curve : chart.curves) all.push_back(points_of(curve, chart.unit, lines));
      const bool has_picture = all[0].size() >= 3;  // two points are no curve
      if (has_picture) write_text(folder / (chart.file + ".svg"), picture(chart, all));
      sections += section(chart, all, has_picture);
      verdicts += bounds(chart, all);
    }
    std::string page =
        "<!-- SPDX-FileCopyrightText: The icrl authors -->\n<!-- SPDX-License-Identifier: MIT -->\n"
        "# How time and memory grow\n\n"
        "Made by `benchmarks/growth.sh`; do not edit. Each point is the median over the rounds of one run.\n\n";
    for (const std::string& line : about) {
      const auto split = line.find('=');
      page += fmt::format("- **{}**: {}\n", line.substr(0, split), line.substr(split + 1));
    }
    write_text(folder / "growth.md", page + "\n" + verdicts + "\n" + sections.substr(0, sections.size() - 1));
    fmt::print("{}", verdicts);
  });
}
