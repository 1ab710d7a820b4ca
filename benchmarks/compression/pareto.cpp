// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Draws what key_to_door_models has measured: the mean return of each model against its bytes and against its time per
// action beside the teacher's in the same run, compressed models beside those that were trained from scratch.
//
//   key_to_door_pareto --results out/compression/results.jsonl [--results ...] --out out/compression
//
// Writes compression.json (a row per model and seed), compression_bytes.svg and compression_time.svg, and prints a
// table of the means over seeds. A model counts as trained from scratch if its name begins with "scratch", or is the
// teacher's. A compressed model's share is its NAUC over that of
// the float model with which its chain of `from` and `keep` begins, tasks paired.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <icrl/eval/regret.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/io/json.hpp>

#include "compression/model_spec.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

/// Means over seeds.
struct Row {
  std::string name, shape;
  int seeds = 0;
  double bytes = 0, us = 0, share_of_teacher_us = 0, seconds = 0, nauc = 0, low = 0, high = 0, worst_seed = 1, kl = 0;
  std::optional<Estimate> share{};  ///< of the original's NAUC; none from scratch, or if the original earns nothing

  [[nodiscard]] bool is_from_scratch() const { return name == "teacher" || name.starts_with("scratch"); }
};

[[nodiscard]] std::vector<Json> read_rows(const std::vector<std::string>& files) {
  std::vector<Json> rows;
  for (const std::string& name : files) {
    std::ifstream file{name};
    if (!file) fail("results \"{}\": cannot be read", name);
    for (std::string line; std::getline(file, line);) {
      rows.push_back(parse_json(line, name));
      const Json& row = rows.back();
      if (const std::string found = row.value("settings", ""), first = rows.front().value("settings", "");
          found != first)
        fail("results \"{}\": some rows were measured with \"{}\" and some with \"{}\"", name, found, first);
      const auto is_same = [&](const Json& other) {
        return other.at("name") == row.at("name") && other.at("seed") == row.at("seed");
      };
      if (std::any_of(rows.begin(), rows.end() - 1, is_same))
        fail("results \"{}\": a second row of model {} and seed {}", name, row.at("name").dump(),
             row.at("seed").dump());
    }
  }
  if (rows.empty()) fail("results: there is no row in the given files");
  return rows;
}

/// The row of the float model with which the chain of a row's model begins: null for a model from scratch. Throws Error
/// if it was not measured.
[[nodiscard]] const Json* original_of(const Json& row, const std::vector<Json>& rows) {
  const std::string name = row.at("name");
  const bench::ModelSpec spec = bench::parse_model(row.at("spec"));
  const std::string from = !spec.from.empty() ? spec.from : spec.keep.empty() ? "" : "teacher";
  if (from.empty()) return nullptr;
  for (const Json& other : rows) {
    if (other.at("name") != from || other.at("seed") != row.at("seed")) continue;
    const Json* const earlier = original_of(other, rows);
    return earlier != nullptr ? earlier : &other;
  }
  fail("results: model {} was made of {}, of which there is no row for seed {}", name, from, row.at("seed").dump());
}

[[nodiscard]] std::vector<double> nauc_by_task(const Json& row) { return row.at("nauc_by_task"); }

/// None if the original earns so little that there is no interval.
[[nodiscard]] std::optional<Estimate> share_of(const std::vector<double>& nauc, const std::vector<double>& of_original,
                                               int seeds) {
  try {
    return estimate_ratio(nauc, of_original, {.clusters = seeds});
  } catch (const Error&) {
    return std::nullopt;
  }
}

[[nodiscard]] std::vector<Row> means_by_name(const std::vector<Json>& rows) {
  std::vector<Row> means;
  std::vector<std::vector<double>> by_task, of_originals;
  for (const Json& row : rows) {
    const std::string name = row.at("name");
    auto found = std::find_if(means.begin(), means.end(), [&](const Row& mean) { return mean.name == name; });
    if (found == means.end()) {
      means.push_back({.name = name, .shape = row.at("shape")});
      by_task.emplace_back();
      of_originals.emplace_back();
      found = means.end() - 1;
    }
    Row& mean = *found;
    ++mean.seeds;
    const auto add = [&](double& to, const char* key) { to += (row.at(key).get<double>() - to) / mean.seeds; };
    add(mean.bytes, "bytes");
    add(mean.us, "us_per_action");
    add(mean.seconds, "total_seconds");
    add(mean.nauc, "nauc");
    add(mean.kl, "kl_to_teacher");
    const double ratio = row.at("us_per_action").get<double>() / row.at("teacher_us_per_action").get<double>();
    mean.share_of_teacher_us += (ratio - mean.share_of_teacher_us) / mean.seeds;
    mean.worst_seed = std::min(mean.worst_seed, row.at("nauc").get<double>());
    const auto append = [&](std::vector<std::vector<double>>& to, const Json& from) {
      auto& tasks = to[static_cast<std::size_t>(found - means.begin())];
      for (const double value : nauc_by_task(from)) tasks.push_back(value);
    };
    append(by_task, row);
    if (const Json* const original = original_of(row, rows)) append(of_originals, *original);
  }
  for (std::size_t i = 0; i < means.size(); ++i) {
    const Estimate nauc = estimate_mean(by_task[i], {.clusters = means[i].seeds});  // tasks of a seed share a model
    means[i].low = nauc.interval.low;
    means[i].high = nauc.interval.high;
    if (!of_originals[i].empty()) means[i].share = share_of(by_task[i], of_originals[i], means[i].seeds);
  }
  return means;
}

/// A scatter plot with a logarithmic x axis; the left and upper edge of each kind of model is drawn as a line.
class Scatter {
public:
  Scatter(std::string title, std::string x_label, std::vector<Row> rows, double Row::*x)
      : title_{std::move(title)}, x_label_{std::move(x_label)}, rows_{std::move(rows)}, x_{x} {
    const auto [first, last] =
        std::minmax_element(rows_.begin(), rows_.end(), [&](const Row& a, const Row& b) { return a.*x_ < b.*x_; });
    x_low_ = (*first).*x_ / 1.3;
    x_high_ = (*last).*x_ * 1.6;
    double lowest = 1;
    for (const Row& row : rows_) lowest = std::min(lowest, row.low);
    y_low_ = std::max(0.5, std::floor(20 * lowest) / 20);
  }

  [[nodiscard]] std::string draw() {
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"560\" viewBox=\"0 0 900 560\" "
        "font-family=\"sans-serif\">\n<rect width=\"900\" height=\"560\" fill=\"white\"/>\n");
    text(left, 28, "start", title_, 18);
    axes();
    for (const bool from_scratch : {true, false}) {
      const char* const color = from_scratch ? "#666666" : "#0072b2";
      edge(from_scratch, color);
      for (const Row& row : rows_)
        if (row.is_from_scratch() == from_scratch) point(row, color);
    }
    text(left + 24, bottom + 66, "start", "compressed", 14, "#0072b2");
    text(left + 124, bottom + 66, "start", "trained from scratch, float32", 14, "#666666");
    return svg_ + "</svg>\n";
  }

private:
  static constexpr double left = 64, right = 876, top = 48, bottom = 470;

  [[nodiscard]] double x_of(double x) const {
    return left + (right - left) * std::log(x / x_low_) / std::log(x_high_ / x_low_);
  }
  [[nodiscard]] double y_of(double y) const {
    return bottom - (bottom - top) * (std::max(y, y_low_) - y_low_) / (1 - y_low_);
  }
  void text(double x, double y, const char* anchor, const std::string& words, int size, const char* color = "#222222") {
    svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\">{}</text>\n",
                        x, y, anchor, size, color, words);
  }
  void line(double x1, double y1, double x2, double y2, const std::string& style) {
    svg_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
  }
  void axes() {
    const int marks_per_unit = y_low_ < 0.8 ? 10 : y_low_ < 0.9 ? 20 : 50;
    for (int i = marks_per_unit / 2; i <= marks_per_unit; ++i) {
      const double share = static_cast<double>(i) / marks_per_unit;
      if (share < y_low_) continue;
      line(left, y_of(share), right, y_of(share), "stroke=\"#e4e4e4\"");
      text(left - 8, y_of(share) + 5, "end", fmt::format("{:.2f}", share), 14);
    }
    for (double power = 0.1; power < 1e9; power *= 10) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double mark = power * factor;
        if (mark < x_low_ || mark > x_high_) continue;
        line(x_of(mark), top, x_of(mark), bottom, "stroke=\"#f0f0f0\"");
        text(x_of(mark), bottom + 20, "middle",
             mark >= 1000 ? fmt::format("{:g} k", mark / 1000) : fmt::format("{:g}", mark), 14);
      }
    }
    line(left, bottom, right, bottom, "stroke=\"#222222\"");
    text((left + right) / 2, bottom + 42, "middle", x_label_, 14);
    text(left, top - 4, "start", y_low_ > 0.5 ? "NAUC" : "NAUC (models below 0.5 stand at 0.5)", 12);
  }
  void point(const Row& row, const char* color) {
    const double x = x_of(row.*x_), y = y_of(row.nauc);
    line(x, y_of(row.low), x, y_of(row.high), fmt::format("stroke=\"{}\" stroke-opacity=\"0.5\"", color));
    svg_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x, y, color);
    label(x + 6, y + 11, row.name, color);
  }
  /// Near the place, where no other label stands.
  void label(double x, double y, const std::string& words, const char* color) {
    constexpr double line_height = 11, letter = 5.6;
    const double width = letter * static_cast<double>(words.size());
    const auto is_free = [&](double at) {
      return std::none_of(labels_.begin(), labels_.end(), [&](const Label& other) {
        return std::abs(other.y - at) < line_height && x < other.x + other.width && other.x < x + width;
      });
    };
    double place = y;
    for (int i = 1; !is_free(place) && i < 20; ++i) place = y + (i % 2 == 1 ? -1 : 1) * line_height * ((i + 1) / 2);
    labels_.push_back({x, place, width});
    text(x, place, "start", words, 10, color);
  }
  /// The best of all models that are not larger (or slower).
  void edge(bool from_scratch, const char* color) {
    std::vector<Row> rows;
    for (const Row& row : rows_)
      if (row.is_from_scratch() == from_scratch) rows.push_back(row);
    std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return a.*x_ < b.*x_; });
    const Row* best = nullptr;
    for (const Row& row : rows) {
      if (best != nullptr && row.nauc <= best->nauc) continue;
      if (best != nullptr) {
        line(x_of(best->*x_), y_of(best->nauc), x_of(row.*x_), y_of(row.nauc),
             fmt::format("stroke=\"{}\" stroke-opacity=\"0.6\"", color));
      }
      best = &row;
    }
  }

  std::string title_, x_label_;
  std::vector<Row> rows_;
  double Row::*x_;
  double x_low_ = 0, x_high_ = 0, y_low_ = 0.5;
  struct Label {
    double x, y, width;
  };
  std::vector<Label> labels_;  // that are drawn
  std::string svg_;
};

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file{path};
  if (!(file << text).flush()) fail("\"{}\": cannot be written", path.string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Draws what key_to_door_models has measured"};
  std::vector<std::string> results;
  std::filesystem::path out = ".";
  app.add_option("--results", results, "a results.jsonl; repeatable")->required();
  app.add_option("--out", out, "folder of compression.json and the pictures");
  return bench::run_program(app, argc, argv, [&] {
    const std::vector<Json> rows = read_rows(results);
    std::vector<Row> means = means_by_name(rows);
    std::filesystem::create_directories(out);
    std::string json = "[\n";
    for (const Json& row : rows) {
      Json kept;
      for (const char* key : {"name", "seed", "spec", "shape", "bytes", "us_per_action", "teacher_us_per_action",
                              "nauc", "low", "high", "worst_task", "kl_to_teacher", "agreement", "temperature",
                              "train_seconds", "total_seconds", "teacher_seconds", "lives", "cpu"})
        kept[key] = row.at(key);
      if (const Json* const original = original_of(row, rows)) {
        kept["original"] = original->at("name");
        if (const auto share = share_of(nauc_by_task(row), nauc_by_task(*original), 1)) {
          kept["share_of_original"] = share->value;
          kept["share_low"] = share->interval.low;
          kept["share_high"] = share->interval.high;
        }
      }
      json += kept.dump() + (&row == &rows.back() ? "\n" : ",\n");
    }
    write(out / "compression.json", json + "]\n");
    const bool is_permuted = rows.front().value("settings", "").starts_with("permuted");
    const std::string title =
        fmt::format("{}: what compression keeps", is_permuted ? "Permuted Key-to-Door" : "Key-to-Door");
    write(out / "compression_bytes.svg", Scatter{title, "bytes of the file", means, &Row::bytes}.draw());
    write(out / "compression_time.svg",
          Scatter{title, "time per action, as a share of the teacher's", means, &Row::share_of_teacher_us}.draw());

    std::sort(means.begin(), means.end(), [](const Row& a, const Row& b) { return a.bytes > b.bytes; });
    fmt::print(
        "| model | shape | seeds | bytes | us per action | of the teacher's | NAUC | worst seed | share | KL | train s "
        "|\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (const Row& row : means) {
      const std::string share = row.share ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", row.share->value,
                                                        row.share->interval.low, row.share->interval.high)
                                          : "";
      fmt::print(
          "| {} | {} | {} | {:.0f} | {:.1f} | {:.2f} | {:.3f} [{:.3f}, {:.3f}] | {:.3f} | {} | {:.1e} | {:.0f} |\n",
          row.name, row.shape, row.seeds, row.bytes, row.us, row.share_of_teacher_us, row.nauc, row.low, row.high,
          row.worst_seed, share, row.kl, row.seconds);
    }
  });
}
