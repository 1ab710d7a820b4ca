// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Turns what the studies wrote into claims: one row per claim in study.json, a table in study.md, a picture per study.
//
//   study_report [--in out/study] [--out docs/results]
//
// A row's value is the mean over seeds of the mean over held-out tasks, as a share of the exact oracle. Its interval
// resamples seeds and the tasks of each. Rows of other programs that study.json holds are kept. A picture also shows
// RL2 where the folder has results of `rl2 --out` of the same protocol. Fails, after writing, where a value is below
// its bar.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/eval/statistics.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/io/json.hpp>

#include "support/output.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

struct Claim {
  std::string study;
  int first, last;  ///< episodes
  double bar;       ///< what was to be reached; 0 = none
  std::string published;
  bool in_long_run = false;
};

/// Seeds below this one had a part in the choice of a study's settings.
int first_seed_of(const std::string& study) { return study == "dark_room_hard" ? 31 : 21; }

std::vector<Claim> claims() {
  return {{"dark_room_hard", 41, 50, 0.95, ""},
          {"dark_room_hard", 91, 100, 0.97, "AD .24"},
          {"dark_room_hard", 991, 1000, 0.99, "AD .68, RL2 .70", true},
          {"dark_room_10x10", 8, 10, 0.985, "ReLIC 89 of 92 in episode 10"},
          {"dark_room_terminating_70", 1, 100, 0.965, "in-context Q-learning .79, AD .68"},
          {"dark_room_terminating_20", 1, 100, 0.72, "AD .35"},
          // An ideal sweeper earns .959 of the oracle over all goals; the bar is .95 of that.
          {"dark_room_terminating_19", 1, 100, 0.911, ".82 (horizon and start not given)"},
          {"key_to_door_1000", 1, 100, 0.985, "in-context Q-learning .96 with 5 histories per task"},
          {"key_to_door_250", 1, 100, 0.98, ".67 without symmetries"},
          {"key_to_door_100", 1, 100, 0.97, ""},
          {"key_to_door_13x13", 1, 100, 0.95, ".93 (horizon not given)"},
          // The bar is .87 of the source, which reaches every platform in the end.
          {"watermaze", 1, 5, 0, ""},
          {"watermaze", 46, 50, 0.87, "AD within .13 of RL2 (DeepMind Lab)"}};
}

/// The results of each study by seed.
using Results = std::map<std::string, std::map<int, Json>>;

/// The settings of a result but for its seed.
std::string settings_of(const Json& result) {
  std::string text = result.at("settings");
  const std::string seed = fmt::format("seed {}", result.at("seed").dump());
  for (std::size_t at = text.find(seed); at != text.npos; at = text.find(seed)) text.erase(at, seed.size());
  return text;
}

Results read_results(const std::filesystem::path& folder) {
  Results results;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() != ".json") continue;
    Json result = parse_json(bench::text_of(entry.path()), entry.path().string());
    if (!result.contains("study")) continue;
    const auto name = result["study"].get<std::string>();
    const int seed = result["seed"].get<int>();
    if (result["quick"].get<bool>() || seed < first_seed_of(name)) continue;
    std::map<int, Json>& by_seed = results[name];
    if (!by_seed.empty() && settings_of(by_seed.begin()->second) != settings_of(result)) {
      fail("study {}: seed {} was measured with \"{}\", seed {} with \"{}\"", name, by_seed.begin()->first,
           settings_of(by_seed.begin()->second), seed, settings_of(result));
    }
    by_seed[seed] = std::move(result);
  }
  return results;
}

/// The mean return of each task over the claim's episodes.
std::vector<double> returns_by_task(const Json& result, const Claim& claim) {
  for (const Json& range : result.at(claim.in_long_run ? "long_run" : "ranges"))
    if (range.at("first") == claim.first && range.at("last") == claim.last)
      return range.at("return_by_task").get<std::vector<double>>();
  fail("study {}: has no episodes {}-{}", claim.study, claim.first, claim.last);
}

Json row_of(const Claim& claim, const std::map<int, Json>& by_seed) {
  std::vector<double> shares, seed_means;
  double seconds = 0;
  Json seeds = Json::array();
  std::set<std::string> cpus;
  for (const auto& [seed, result] : by_seed) {
    const std::vector<double> returns = returns_by_task(result, claim);
    const auto oracle = result.at("oracle_by_task").get<std::vector<double>>();
    const std::size_t before = shares.size();
    for (std::size_t i = 0; i < returns.size(); ++i) shares.push_back(returns[i] / oracle[i]);
    seed_means.push_back(mean(std::span{shares}.subspan(before)));
    seconds += result.at("seconds").get<double>();
    seeds.push_back(seed);
    cpus.insert(result.at("cpu").get<std::string>());
  }
  const Json& one = by_seed.begin()->second;
  const Estimate estimate = estimate_mean(shares, {.clusters = static_cast<int>(by_seed.size())});
  std::string cpu;
  for (const std::string& name : cpus) cpu += (cpu.empty() ? "" : "; ") + name;
  return {{"name", fmt::format("{}_{}_{}", claim.study, claim.first, claim.last)},
          {"value", estimate.value},
          {"low", estimate.interval.low},
          {"high", estimate.interval.high},
          {"iqm", interquartile_mean(shares)},
          {"worst_task", *std::ranges::min_element(shares)},
          {"worst_seed", *std::ranges::min_element(seed_means)},
          {"bar", claim.bar > 0 ? Json(claim.bar) : Json(nullptr)},
          {"published", claim.published},
          {"told", one.at("told")},
          {"seeds", seeds},
          {"minutes", seconds / 60 / static_cast<double>(by_seed.size())},
          {"cpu", cpu},
          {"command", claim.study == "watermaze" ? "watermaze --seed SEED"
                                                 : fmt::format("grid_worlds --study {} --seed SEED", claim.study)}};
}

/// `rl2`: the results of RL2 under the same protocol, or none.
std::string picture_of(const std::string& name, const std::map<int, Json>& of_study, const std::map<int, Json>& rl2) {
  const auto series = [](const std::map<int, Json>& by_seed, std::string title, const char* key, PlotStroke stroke) {
    PlotSeries line{.name = std::move(title), .stroke = stroke};
    for (std::size_t e = 0; e < by_seed.begin()->second.at(key).size(); ++e) {
      std::vector<double> values;
      for (const auto& [seed, result] : by_seed)
        values.push_back(result.at(key).at(e).get<double>() /
                         mean(result.at("oracle_by_task").get<std::vector<double>>()));
      line.y.push_back(mean(values));
      const auto [low, high] = std::ranges::minmax_element(values);
      line.band.push_back({*low, *high});
    }
    return line;
  };
  std::string title = name;
  std::ranges::replace(title, '_', ' ');
  Plot plot{.title = std::move(title), .y_label = "return / oracle (mean, worst to best seed)"};
  plot.series = {series(of_study, "distilled, frozen", "return_by_episode", PlotStroke::solid),
                 series(of_study, "source", "source_return_by_episode", PlotStroke::dashed)};
  if (!rl2.empty()) plot.series.push_back(series(rl2, "RL2, frozen", "return_by_episode", PlotStroke::solid));
  plot.levels = {{"oracle", 1}};
  return to_svg(plot);
}

/// The rows of study.json that no claim of this program replaces.
Json kept_rows(const std::filesystem::path& path, const Json& rows) {
  Json kept = Json::array();
  if (!std::filesystem::exists(path)) return kept;
  for (const Json& row : parse_json(bench::text_of(path), path.string())) {
    const bool is_new =
        std::ranges::any_of(rows, [&](const Json& other) { return other.at("name") == row.at("name"); });
    if (!is_new) kept.push_back(row);
  }
  return kept;
}

/// Whether a row's value is below its bar; a row without one is not.
bool is_missed(const Json& row) {
  return row.value("bar", Json()).is_number() && row.at("value").get<double>() < row.at("bar").get<double>();
}

std::string table_of(const Json& rows) {
  std::string text =
      "<!-- SPDX-FileCopyrightText: The icrl authors -->\n<!-- SPDX-License-Identifier: MIT -->\n"
      "# Claims of the study\n\n"
      "Written by `study_report` from the results of the study's programs; not by hand. Held-out tasks, frozen weights. "
      "The value is the mean over seeds, the interval (95 %) resamples seeds and tasks. Claims about episodes are shares of "
      "the exact oracle.\n\n"
      "| claim | value | interval | worst seed | worst task | bar | outcome | published | seeds | minutes per seed |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Json& row : rows) {
    const auto number = [&](const char* key, int digits) {
      return row.contains(key) && row.at(key).is_number() ? fmt::format("{:.{}f}", row.at(key).get<double>(), digits)
                                                          : std::string{};
    };
    const char* outcome = is_missed(row) ? "NOT MET" : number("bar", 3).empty() ? "" : "met";
    text +=
        fmt::format("| `{}` | {} | {} to {} | {} | {} | {} | {} | {} | {} | {} |\n", row.at("name").get<std::string>(),
                    number("value", 3), number("low", 3), number("high", 3), number("worst_seed", 3),
                    number("worst_task", 3), number("bar", 3), outcome, row.value("published", ""),
                    row.contains("seeds") ? row.at("seeds").dump() : std::string{}, number("minutes", 1));
  }
  return text;
}

void report(const std::filesystem::path& in, const std::filesystem::path& out) {
  const Results results = read_results(in);
  Json rows = Json::array();
  const std::vector<Claim> all = claims();
  for (const Claim& claim : all)
    if (const auto found = results.find(claim.study); found != results.end())
      rows.push_back(row_of(claim, found->second));
  for (const auto& [name, by_seed] : results) {
    if (std::ranges::find(all, name, &Claim::study) == all.end()) continue;
    const auto rl2 = results.find("rl2_" + name);
    bench::write_text(out / (name + ".svg"),
                      picture_of(name, by_seed, rl2 == results.end() ? std::map<int, Json>{} : rl2->second));
  }
  for (Json& row : kept_rows(out / "study.json", rows)) rows.push_back(std::move(row));
  std::sort(rows.begin(), rows.end(),
            [](const Json& one, const Json& other) { return one.at("name") < other.at("name"); });
  bench::write_text(out / "study.json", to_text(rows, "study.json", 1) + "\n");
  bench::write_text(out / "study.md", table_of(rows));
  fmt::print("{}", table_of(rows));
  std::string missed;
  for (const Json& row : rows)
    if (is_missed(row)) missed += " " + row.at("name").get<std::string>();
  if (!missed.empty()) fail("below their bars:{}", missed);
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path in = "out/study", out = "docs/results";
  CLI::App app{"Turns the results of the studies into rows, a table and pictures"};
  app.add_option("--in", in, "folder of the studies' results")->check(CLI::ExistingDirectory);
  app.add_option("--out", out, "folder of study.json, study.md and the pictures")->check(CLI::ExistingDirectory);
  return bench::run_program(app, argc, argv, [&] { report(in, out); });
}
