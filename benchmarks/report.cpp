// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Turns the lines that the benchmarks and the peers printed, several rounds of each, into a table, a file of JSON lines
// and a page of Markdown.
//
//   report RAW.jsonl --jsonl OUT.jsonl [--update] [--markdown RESULTS.md --about "Machine=…" --about "Commit=…"]
//
// OUT.jsonl has one object a measurement: `name`, `value` (median over the rounds), `unit`, and where a peer ran
// `peer`, `peer_value`, `ratio` (above 1: icrl is quicker). A second peer of the same measurement goes under the name
// `extra_NAME_PEER`. `ratio_without_call` is the ratio once the peer's time for next to no arithmetic is taken off.
// With --update the lines that OUT.jsonl has under other names stay.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <icrl/core/fail.hpp>

#include "support/measurement.hpp"
#include "support/program.hpp"

using namespace icrl::bench;
using Json = nlohmann::ordered_json;

namespace {

/// All rounds of one measurement by one program.
struct Series {
  std::vector<double> values;
  std::map<std::string, std::vector<double>> details;

  double median() const { return quantile(values, 0.5); }
  double spread() const {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return (*high - *low) / median();
  }
  /// Median of a detail, 0 where the program did not report it.
  double detail(const std::string& name) const {
    const auto found = details.find(name);
    return found == details.end() ? 0 : quantile(found->second, 0.5);
  }
};

struct Measurement {
  std::string name, unit;
  Series ours;
  std::vector<std::pair<std::string, Series>> peers;  // in the order of their first lines
  std::map<std::string, Series> roofs;                // GFLOP/s of each library

  bool more_is_better() const { return unit.ends_with("/s"); }
  double ratio(const Series& peer) const {
    return more_is_better() ? ours.median() / peer.median() : peer.median() / ours.median();
  }
  /// The smallest and the largest ratio of a single round.
  std::pair<double, double> ratio_range(const Series& peer) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(ours.values.size(), peer.values.size()); ++i)
      ratios.push_back(more_is_better() ? ours.values[i] / peer.values[i] : peer.values[i] / ours.values[i]);
    const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
    return {*low, *high};
  }
  /// Share of the best library's rate, 0 where none ran.
  double share_of_roof() const {
    double best = 0;
    for (const auto& [library, series] : roofs) best = std::max(best, series.median());
    return best > 0 ? ours.detail("gflop_per_s") / best : 0;
  }
};

/// A peer's microseconds for next to no arithmetic, which is what calling it costs; 0 where that was not measured.
double call_cost(const std::vector<Measurement>& all, std::string who) {
  if (who.ends_with(" int8")) who.resize(who.size() - 5);  // the call is the same
  for (const Measurement& measurement : all) {
    if (measurement.name != "extra_act_d8_L1_H1_T2") continue;
    for (const auto& [peer, series] : measurement.peers)
      if (peer == who) return series.median();
  }
  return 0;
}

/// The ratio to a peer of acting, had its call cost nothing; 0 where that cannot be said.
double ratio_without_call(const std::vector<Measurement>& all, const Measurement& measurement,
                          const std::pair<std::string, Series>& peer) {
  const double cost = call_cost(all, peer.first);
  const bool is_acting = measurement.name.starts_with("act_") || measurement.name.starts_with("int8_act_");
  if (cost == 0 || !is_acting) return 0;
  return (peer.second.median() - cost) / measurement.ours.median();
}

Series& series_of(Measurement& measurement, const std::string& who) {
  if (who == "icrl") return measurement.ours;
  if (who.starts_with("roof ")) return measurement.roofs[who];
  auto& peers = measurement.peers;
  const auto found = std::find_if(peers.begin(), peers.end(), [&](const auto& peer) { return peer.first == who; });
  return found != peers.end() ? found->second : peers.emplace_back(who, Series{}).second;
}

std::vector<Measurement> read_measurements(const std::string& path) {
  std::ifstream in{path};
  if (!in) throw std::runtime_error("cannot open " + path);
  std::vector<Measurement> all;
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line);
    const auto name = json.at("name").get<std::string>();
    auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& measurement) { return measurement.name == name; });
    if (found == all.end()) found = all.insert(all.end(), Measurement{name, "", {}, {}, {}});
    const auto who = json.at("who").get<std::string>();
    Series& series = series_of(*found, who);
    series.values.push_back(json.at("value").get<double>());
    if (who == "icrl") found->unit = json.at("unit").get<std::string>();
    for (const auto& [key, value] : json.items())
      if (key != "value" && value.is_number()) series.details[key].push_back(value.get<double>());
  }
  std::erase_if(all, [](const Measurement& measurement) { return measurement.ours.values.empty(); });
  return all;
}

/// Letters and digits of a peer's name, for the names of measurements.
std::string slug(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) result += static_cast<char>(std::tolower(c));
  }
  return result;
}

/// The measurements as lines, by their names.
std::vector<std::pair<std::string, std::string>> json_lines(const std::vector<Measurement>& all) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const Measurement& measurement : all) {
    Json json{{"name", measurement.name}, {"value", measurement.ours.median()}, {"unit", measurement.unit}};
    const auto add_peer = [&](Json object, const std::pair<std::string, Series>& peer) {
      object.update({{"peer", peer.first},
                     {"peer_value", peer.second.median()},
                     {"peer_spread", peer.second.spread()},
                     {"ratio", measurement.ratio(peer.second)},
                     {"ratio_low", measurement.ratio_range(peer.second).first},
                     {"ratio_high", measurement.ratio_range(peer.second).second}});
      if (const double ratio = ratio_without_call(all, measurement, peer); ratio > 0)
        object["ratio_without_call"] = ratio;
      for (const auto& [name, values] : peer.second.details) object["peer_" + name] = quantile(values, 0.5);
      return object;
    };
    Json first = measurement.peers.empty() ? json : add_peer(json, measurement.peers[0]);
    first["rounds"] = measurement.ours.values.size();
    first["spread"] = measurement.ours.spread();
    for (const auto& [name, values] : measurement.ours.details) first[name] = quantile(values, 0.5);
    if (measurement.share_of_roof() > 0) first["share_of_roof"] = measurement.share_of_roof();
    lines.emplace_back(measurement.name, first.dump());
    for (std::size_t i = 1; i < measurement.peers.size(); ++i) {
      const std::string prefix = measurement.name.starts_with("extra_") ? "" : "extra_";
      json["name"] = prefix + measurement.name + "_" + slug(measurement.peers[i].first);
      lines.emplace_back(json["name"], add_peer(json, measurement.peers[i]).dump());
    }
  }
  return lines;
}

void write_jsonl(const std::vector<Measurement>& all, const std::string& path, bool update) {
  const auto lines = json_lines(all);
  std::string text;
  if (std::ifstream old{path}; update && old) {
    for (std::string line; std::getline(old, line);) {
      const auto name = Json::parse(line).at("name").get<std::string>();
      if (std::none_of(lines.begin(), lines.end(), [&](const auto& measured) { return measured.first == name; }))
        text += line + '\n';
    }
  }
  for (const auto& [name, line] : lines) text += line + '\n';
  std::ofstream out{path};
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

std::string number(double value) {
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.1f} k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

/// One line for each measurement and peer, columns parted by `|`.
std::vector<std::vector<std::string>> table_rows(const std::vector<Measurement>& all) {
  std::vector<std::vector<std::string>> rows{{"measurement", "icrl", "unit", "spread", "p99", "fullest step", "x floor",
                                              "share of roof", "peer", "peer's", "spread", "ratio", "without call"}};
  constexpr std::size_t own_columns = 8;
  const auto optional = [](double value) { return value > 0 ? number(value) : std::string{}; };
  const auto floors = [](const Series& ours) {
    const double x_floor = ours.detail("x_floor");
    if (x_floor <= 0) return std::string{};
    return fmt::format("{:.1f}, {:.1f}, {:.1f}", x_floor, ours.detail("fullest_x_floor"),
                       ours.detail("x_large_page_floor"));
  };
  for (const Measurement& m : all) {
    const double share = m.share_of_roof();
    std::vector<std::string> row{m.name,
                                 number(m.ours.median()),
                                 m.unit,
                                 percent(m.ours.spread()),
                                 optional(m.ours.detail("p99")),
                                 optional(m.ours.detail("fullest")),
                                 floors(m.ours),
                                 share > 0 ? percent(share) : ""};
    for (const auto& [peer, series] : m.peers) {
      const double without_call = ratio_without_call(all, m, {peer, series});
      row.insert(row.end(), {peer, number(series.median()), percent(series.spread()),
                             fmt::format("{:.2f} ({:.2f} to {:.2f})", m.ratio(series), m.ratio_range(series).first,
                                         m.ratio_range(series).second),
                             without_call > 0 ? fmt::format("{:.2f}", without_call) : ""});
      rows.push_back(row);
      row.assign(own_columns, "");
    }
    if (m.peers.empty()) {
      row.resize(rows[0].size());
      rows.push_back(row);
    }
  }
  return rows;
}

/// A bound that measurements have to keep.
struct Limit {
  std::string_view name_begin, what;
  double (*value)(const Measurement&);
  double bound;
  bool is_least = false;

  [[nodiscard]] bool is_met(const Measurement& m) const { return is_least ? value(m) >= bound : value(m) <= bound; }
};

double ratio_to_first_peer(const Measurement& m) { return m.peers.empty() ? 0 : m.ratio(m.peers[0].second); }

constexpr Limit limits[] = {
    {"train_", "share of the step that samples windows",
     [](const Measurement& m) { return m.ours.detail("sampling_share"); }, 0.03},
    {"act_", "99th percentile / median", [](const Measurement& m) { return m.ours.detail("p99") / m.ours.median(); },
     2},
    {"act_", "99th percentile of steps that open a context / median",
     [](const Measurement& m) { return m.ours.detail("opening_p99") / m.ours.median(); }, 2},
    {"extra_threads2_train_", "speed-up by the second thread", ratio_to_first_peer, 1.85, true},
    {"extra_shared_train_", "share of the speed that is left", ratio_to_first_peer, 0.45, true},
    {"extra_large_file_", "step from the file / step from memory",
     [](const Measurement& m) { return 1 / ratio_to_first_peer(m); }, 1.10},
    {"extra_compile_", "times Eigen and fmt alone", [](const Measurement& m) { return 1 / ratio_to_first_peer(m); }, 8},
    {"extra_compile_", "peak memory in MB", [](const Measurement& m) { return m.ours.detail("peak_mb"); }, 1500},
};

/// A line for each limit and each measurement that it is about.
std::string limits_text(const std::vector<Measurement>& all) {
  std::string text;
  for (const Limit& limit : limits) {
    for (const Measurement& m : all) {
      if (!m.name.starts_with(limit.name_begin)) continue;
      text += fmt::format("- {}: {}, {}: {:.4g}, {} {:.4g}\n", limit.is_met(m) ? "met" : "NOT MET", m.name, limit.what,
                          limit.value(m), limit.is_least ? "at least" : "at most", limit.bound);
    }
  }
  return text;
}

/// The table with its columns aligned; as Markdown it gets a rule below the header.
std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) text += fmt::format("| {:<{}} ", row[i], widths[i]);
    text += "|\n";
    if (&row != &rows[0]) continue;
    for (const std::size_t width : widths) text += "|" + std::string(width + 2, '-');
    text += "|\n";
  }
  return text;
}

void write_markdown(const std::string& table, const std::string& bounds, const std::vector<std::string>& about,
                    const std::string& path) {
  std::ofstream out{path};
  out << "<!-- SPDX-FileCopyrightText: The icrl authors -->\n<!-- SPDX-License-Identifier: MIT -->\n"
         "# Benchmark results\n\n"
         "Made by `scripts/bench.sh`; do not edit. Medians over the rounds of one run, in which icrl, the peers\n"
         "and the matrix products of the roof took turns; spread is (largest - smallest) / median of the rounds.\n"
         "A ratio above 1 means that icrl is quicker; in brackets the smallest and the largest of a single round; without\n"
         "call: once what calling the peer costs is taken off its time. x floor: median and fullest step as multiples of\n"
         "the time that reading their weights, keys and values takes, then the median again as a multiple of the time\n"
         "where these lie in pages of 2 MB, as keys and values of 2 MB and more do.\n"
         "[README.md](README.md) says what each name stands for.\n\n";
  for (const std::string& line : about) {
    const auto split = line.find('=');
    out << "- **" << line.substr(0, split) << "**: " << line.substr(split + 1) << '\n';
  }
  out << '\n' << table;
  if (!bounds.empty()) out << "\n## Limits\n\n" << bounds;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  std::string raw, jsonl, markdown;
  std::vector<std::string> about;
  CLI::App app{"Summarizes benchmark rounds"};
  app.add_option("raw", raw, "lines of JSON from the benchmarks and peers")->required();
  app.add_option("--jsonl", jsonl, "file of JSON lines to write")->required();
  bool update = false;
  app.add_flag("--update", update, "keep the other lines of the file of JSON lines");
  app.add_option("--markdown", markdown, "page to write");
  app.add_option("--about", about, "KEY=VALUE lines for the page's head");

  return run_program(app, argc, argv, [&] {
    const auto all = read_measurements(raw);
    if (all.empty()) icrl::fail("\"{}\" holds no measurement", raw);
    const std::string table = table_text(table_rows(all));
    const std::string bounds = limits_text(all);
    fmt::print("{}{}{}", table, bounds.empty() ? "" : "\n", bounds);
    write_jsonl(all, jsonl, update);
    if (!markdown.empty()) write_markdown(table, bounds, about, markdown);
  });
}
