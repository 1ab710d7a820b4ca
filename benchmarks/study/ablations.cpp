// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// What each part of a recipe is worth: Algorithm Distillation of Q-learning in the Dark Room, with one thing changed at
// a time, compared with the unchanged recipe on the same seeds, held-out goals and runs.
//
//   ablations [--only NAME ...] [--seed 41] [--seeds 3] [--threads 0] [--out out/ablations] [--quick]
//
// Each result is kept in OUT/NAME-sSEED.json and not made again; an interrupted training resumes. At the end, or with
// --report at once, OUT/ablations.md, .json and .svg compare what is there.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/eval/learning_speed.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/eval/svg.hpp>

#include "study/ablation_study.hpp"
#include "support/program.hpp"

using namespace icrl;
using bench::AblationHistories;
using bench::AblationModel;
using bench::AblationOptions;
using bench::Variant;

namespace {

constexpr const char* base_name = "recipe";

/// The recipe of Q-learning, in float32, so that every CPU trains the same models and dropout has nothing that others
/// have not.
Variant base() {
  Variant variant{
      .group = "the recipe", .name = base_name, .change = "nothing", .recipe = example::q_learning_recipe()};
  variant.recipe.distil.products = Products::full;
  variant.recipe.distil.evaluate_every = 0;
  return variant;
}

template <typename Change>
Variant changed(const char* group, std::string name, std::string what, const Change& change) {
  Variant variant = base();
  variant.group = group;
  variant.name = std::move(name);
  variant.change = std::move(what);
  change(variant);
  return variant;
}

/// Acts with the recipe's model.
template <typename Change>
Variant acting(std::string name, std::string what, const Change& change) {
  return changed("acting with the recipe's model", std::move(name), std::move(what), [&](Variant& v) {
    v.model_of = base_name;
    change(v);
  });
}

void add_training(std::vector<Variant>& all) {
  constexpr const char* group = "training";
  all.push_back(changed(group, "token_mask", "30 % of the rows hide the step before them",
                        [](Variant& v) { v.recipe.distil.token_mask = 0.3; }));
  all.push_back(changed(group, "dropout", "dropout of .1, .1, and .5 in attention (the paper's)", [](Variant& v) {
    v.recipe.distil.dropout = {.embedding = 0.1, .residual = 0.1, .attention = 0.5};
  }));
  all.push_back(changed(group, "light_dropout", "dropout of .1 everywhere", [](Variant& v) {
    v.recipe.distil.dropout = {.embedding = 0.1, .residual = 0.1, .attention = 0.1};
  }));
  all.push_back(changed(group, "label_smoothing", "labels smoothed by .1",
                        [](Variant& v) { v.recipe.distil.label_smoothing = 0.1; }));
  all.push_back(changed(group, "last_step_loss", "only the last step of each window has a label",
                        [](Variant& v) { v.trains_last_step = true; }));
  all.push_back(changed(group, "value_head", "a second output learns the return of the episode",
                        [](Variant& v) { v.kind = AblationModel::with_value; }));
  all.push_back(changed(group, "no_average", "the last weights in place of their moving average",
                        [](Variant& v) { v.recipe.distil.ema_decay = 0; }));
  all.push_back(
      changed(group, "no_weight_decay", "no weight decay", [](Variant& v) { v.recipe.distil.weight_decay = 0; }));
}

void add_histories(std::vector<Variant>& all) {
  constexpr const char* group = "histories";
  for (const int k : {1, 4, 24}) {
    all.push_back(changed(group, fmt::format("every_{}", k), fmt::format("of {} episodes one is kept, not of 12", k),
                          [&](Variant& v) { v.recipe.windows.subsample = k; }));
  }
  all.push_back(changed(group, "unfiltered", "histories that never solved their room as well",
                        [](Variant& v) { v.histories = AblationHistories::all; }));
  all.push_back(changed(group, "best_half", "the half that improved most and most steadily",
                        [](Variant& v) { v.histories = AblationHistories::best_half; }));
  all.push_back(changed(group, "sorted", "episodes sorted by return", [](Variant& v) { v.is_sorted = true; }));
  all.push_back(changed(group, "shuffled", "episodes in random order",
                        [](Variant& v) { v.recipe.windows.shuffle_episodes = true; }));
  all.push_back(changed(group, "optimal_labels", "labels of a policy that knows the goal (DPT)", [](Variant& v) {
    v.has_optimal_labels = true;
    v.recipe.windows.use_expert_action = true;
  }));
  all.push_back(changed(group, "anywhere", "windows begin with any episode, not half of them with the first",
                        [](Variant& v) { v.recipe.windows.history_start_fraction = 0; }));
}

void add_tasks(std::vector<Variant>& all) {
  constexpr const char* group = "training goals";
  for (const int count : {8, 16, 32}) {
    all.push_back(changed(group, fmt::format("goals_{}", count), fmt::format("{} goals, not 57", count),
                          [&](Variant& v) { v.training_tasks = count; }));
  }
  for (const int count : {16, 32, 57}) {
    all.push_back(changed(group, fmt::format("goals_{}_no_images", count),
                          fmt::format("{} goals without images", count), [&](Variant& v) {
                            v.training_tasks = count;
                            v.recipe.images = example::Images::none;
                          }));
  }
}

void add_models(std::vector<Variant>& all) {
  constexpr const char* group = "model";
  for (const int context : {10, 20, 40, 160}) {
    all.push_back(changed("context", fmt::format("context_{}", context),
                          fmt::format("{} steps of context, not 80 (an episode has 20)", context), [&](Variant& v) {
                            v.recipe.windows.context = context;
                            if (context < 20) v.recipe.windows.start = WindowStart::anywhere;
                            v.shape.window_start = v.recipe.windows.start;
                          }));
  }
  for (const auto& [width, layers] : {std::pair{64, 1}, {32, 2}, {16, 1}}) {
    all.push_back(changed(group, fmt::format("width_{}_layers_{}", width, layers),
                          fmt::format("width {}, {} layer{}, not 64 and 4", width, layers, layers == 1 ? "" : "s"),
                          [&](Variant& v) {
                            v.shape.width = width;
                            v.shape.layer_count = layers;
                          }));
  }
  all.push_back(
      changed(group, "rotary", "rotary positions", [](Variant& v) { v.shape.positions = PositionScheme::rotary; }));
  all.push_back(changed(group, "three_tokens", "three tokens per step (the paper's layout)",
                        [](Variant& v) { v.shape.tokens = TokenScheme::separate; }));
  all.push_back(changed(group, "post_norm", "post-norm blocks (the paper's)",
                        [](Variant& v) { v.kind = AblationModel::post_norm; }));
  all.push_back(
      changed(group, "recurrent", "a gated linear recurrence", [](Variant& v) { v.kind = AblationModel::recurrent; }));
}

void add_acting(std::vector<Variant>& all) {
  all.push_back(acting("temperature_1", "temperature 1, nothing left out",
                       [](Variant& v) { v.recipe.decoding = {.temperature = 1}; }));
  all.push_back(acting("temperature_05", "temperature .5, nothing left out",
                       [](Variant& v) { v.recipe.decoding = {.temperature = 0.5}; }));
  all.push_back(acting("greedy", "the likeliest action", [](Variant& v) { v.recipe.decoding = {.temperature = 0}; }));
  all.push_back(acting("prompted", "begins with four episodes of a source's first half in memory",
                       [](Variant& v) { v.is_prompted = true; }));
}

std::vector<Variant> all_variants() {
  std::vector<Variant> all{base()};
  add_training(all);
  add_histories(all);
  add_tasks(all);
  add_models(all);
  add_acting(all);
  return all;
}

// ---- the report ----

/// What was measured of one variant: curves of the mean over runs, by seed.
struct Measured {
  std::map<int, LearningCurves> agent, source;
  std::map<int, std::vector<double>> oracle;
  double seconds = 0;  ///< of training, mean over seeds
  std::set<std::string> cpus;
};

LearningCurves curves_of(const Json& result, const char* key) {
  const auto tasks = result.at("tasks").get<std::vector<int>>();
  const auto returns = result.at(key).get<std::vector<std::vector<double>>>();
  LearningCurves curves{tasks, 1, static_cast<int>(returns.at(0).size())};
  for (std::size_t i = 0; i < tasks.size(); ++i)
    std::ranges::copy(returns.at(i), curves.returns(static_cast<int>(i), 0).begin());
  return curves;
}

std::optional<Measured> measured(const Variant& variant, const AblationOptions& options) {
  Measured found;
  for (int i = 0; i < options.seeds; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    const bench::Ablation ablation{variant, seed, options};
    if (!ablation.has_result()) return std::nullopt;
    const Json result = ablation.result();
    const int number = static_cast<int>(seed);
    found.agent.emplace(number, curves_of(result, "returns"));
    found.source.emplace(number, curves_of(result, "source_returns"));
    found.oracle.emplace(number, result.at("oracle_by_task").get<std::vector<double>>());
    found.seconds += result.at("train_seconds").get<double>() / options.seeds;
    found.cpus.insert(result.at("cpu").get<std::string>());
  }
  return found;
}

/// Per task, all seeds one after the other: the mean return over the episodes, as a share of all oracles' mean.
std::vector<double> shares(const Measured& one, int first, int last) {
  std::vector<double> values, oracles;
  for (const auto& [seed, curves] : one.agent) {
    std::ranges::copy(curves.mean_by_task(first, last), std::back_inserter(values));
    std::ranges::copy(one.oracle.at(seed), std::back_inserter(oracles));
  }
  for (double& value : values) value /= mean(oracles);
  return values;
}

Estimate difference(const Measured& one, const Measured& other, int first, int last) {
  std::vector<double> values = shares(one, first, last);
  const std::vector<double> others = shares(other, first, last);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= others[i];
  return estimate_mean(values, {.clusters = static_cast<int>(one.agent.size())});
}

/// One line of the report.
struct Row {
  const Variant* variant;
  Estimate area, gain, late,
      late_gain;  ///< shares of the oracle, over all episodes and the last ten; gains over the recipe
  double seconds;
};

Row row_of(const Variant& variant, const Measured& one, const Measured& recipe) {
  const int last = one.agent.begin()->second.episode_count(), late = std::max(1, last - 9);
  const BootstrapConfig by_seed{.clusters = static_cast<int>(one.agent.size())};
  return {.variant = &variant,
          .area = estimate_mean(shares(one, 1, last), by_seed),
          .gain = difference(one, recipe, 1, last),
          .late = estimate_mean(shares(one, late, last), by_seed),
          .late_gain = difference(one, recipe, late, last),
          .seconds = one.seconds};
}

std::string verdict(const Estimate& gain) {
  if (gain.interval.low > 0) return "better";
  if (gain.interval.high < 0) return "worse";
  return "no difference shown";
}

std::string text_of(const Estimate& gain) {
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", gain.value, gain.interval.low, gain.interval.high);
}

std::string line_of(const Row& row) {
  if (row.variant->name == base_name)
    return fmt::format("| nothing changed | {:.3f} | | | {:.3f} | | {:.0f} |\n", row.area.value, row.late.value,
                       row.seconds);
  return fmt::format("| {} | {:.3f} | {} | {} | {:.3f} | {} | {:.0f} |\n", row.variant->change, row.area.value,
                     text_of(row.gain), verdict(row.gain), row.late.value, text_of(row.late_gain), row.seconds);
}

Json json_of(const Row& row) {
  const auto estimate = [](const Estimate& e) {
    return Json{{"value", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
  };
  return {{"name", row.variant->name},
          {"group", row.variant->group},
          {"change", row.variant->change},
          {"area", estimate(row.area)},
          {"gain", estimate(row.gain)},
          {"late", estimate(row.late)},
          {"late_gain", estimate(row.late_gain)},
          {"train_seconds", row.seconds}};
}

LearningCurves joined_seeds(const std::map<int, LearningCurves>& by_seed) {
  LearningCurves all = by_seed.begin()->second;
  for (auto it = std::next(by_seed.begin()); it != by_seed.end(); ++it) all = joined(all, it->second);
  return all;
}

/// How many episodes source and agent take to reach shares of the oracle.
std::string speed_text(const Measured& recipe) {
  std::vector<double> oracles;
  for (const auto& [seed, values] : recipe.oracle) std::ranges::copy(values, std::back_inserter(oracles));
  std::string text;
  for (const double share : {0.5, 0.8, 0.9}) {
    const auto until = [&](const std::map<int, LearningCurves>& curves) {
      const auto found = episodes_until(joined_seeds(curves).mean_by_episode(), share * mean(oracles), 3);
      return found ? fmt::format("{}", *found) : std::string{"more than all"};
    };
    text += fmt::format("- {:.1f} of the oracle (mean of three episodes): agent after {}, source after {} episodes\n",
                        share, until(recipe.agent), until(recipe.source));
  }
  return text;
}

void write_report(const std::vector<Variant>& variants, const AblationOptions& options) {
  const std::optional<Measured> recipe = measured(variants.front(), options);
  if (!recipe)
    fail("{}: not all seeds have a result of \"{}\", with which all are compared", options.out.string(), base_name);
  std::string table, group;
  Json rows = Json::array();
  std::set<std::string> cpus;
  std::vector<double> oracles;
  for (const auto& [seed, values] : recipe->oracle) std::ranges::copy(values, std::back_inserter(oracles));
  Plot plot{.title = "Steps of context (an episode has 20): returns in unseen rooms",
            .levels = {{"oracle", mean(oracles)}}};
  for (const Variant& variant : variants) {
    const std::optional<Measured> one = measured(variant, options);
    if (!one) continue;
    cpus.insert(one->cpus.begin(), one->cpus.end());
    const Row row = row_of(variant, *one, *recipe);
    if (variant.group != std::exchange(group, variant.group)) table += fmt::format("| **{}** | | | | | | |\n", group);
    table += line_of(row);
    rows.push_back(json_of(row));
    if (variant.name == base_name || variant.group == "context") {
      plot.series.push_back(plot_series(fmt::format("{}", variant.recipe.windows.context), joined_seeds(one->agent),
                                        {.resamples = 500, .clusters = options.seeds}));
    }
  }
  const int run_count = bench::Ablation{variants.front(), options.seed, options}.run_count();
  const std::string text = fmt::format(
      "<!-- SPDX-FileCopyrightText: The icrl authors -->\n<!-- SPDX-License-Identifier: MIT -->\n"
      "# What each part of a recipe is worth\n\n"
      "Written by `ablations`, not by hand. Q-learning's recipe in the Dark Room with one thing changed at a time. Seeds {} "
      "to {}, 16 held-out goals each, {} run{} per goal, products in float32.{} *Area* is the mean over all episodes, *late* "
      "over the last ten, both as a share of the oracle. Differences are from the unchanged recipe on the same seeds, goals "
      "and runs; their 95 % intervals resample seeds and goals. Of {} comparisons, one in twenty would be called a "
      "difference by chance. CPU: {}.\n\n"
      "| change | area | difference | verdict | late | difference | seconds of training |\n"
      "|---|---|---|---|---|---|---|\n{}\n{}",
      options.seed, options.seed + static_cast<std::uint64_t>(options.seeds) - 1, run_count, run_count == 1 ? "" : "s",
      options.quick ? " A quick run: nothing was learned." : "", rows.size() - 1, fmt::join(cpus, "; "), table,
      speed_text(*recipe));
  bench::write_text(options.out / "ablations.md", text);
  bench::write_text(options.out / "ablations.json", to_text(rows, "ablations.json", 1) + "\n");
  bench::write_text(options.out / "ablations.svg", to_svg(plot));
  fmt::print("{}", text);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Variant> variants = all_variants();
  std::vector<std::string> names, wanted;
  for (const Variant& variant : variants) names.push_back(variant.name);
  AblationOptions options;
  bool report_only = false;
  CLI::App app{"Algorithm Distillation of Q-learning in the Dark Room, with one thing changed at a time"};
  app.add_option("--only", wanted, "by default all")->check(CLI::IsMember(names));
  app.add_option("--seed", options.seed, "the first")->check(bench::counts);
  app.add_option("--seeds", options.seeds, "how many")->check(CLI::Range{1, 100});
  app.add_option("--threads", options.threads, "0 = all cores")->check(CLI::Range{0, 1024});
  app.add_option("--out", options.out, "folder of results, models and checkpoints");
  app.add_flag("--report", report_only, "compare what is there");
  app.add_flag("--quick", options.quick, "everything happens, nothing is learned");
  return bench::run_program(app, argc, argv, [&] {
    std::filesystem::create_directories(options.out);
    for (int i = 0; i < options.seeds && !report_only; ++i) {
      for (const Variant& variant : variants) {
        const bool is_wanted =
            wanted.empty() || variant.name == base_name || std::ranges::find(wanted, variant.name) != wanted.end();
        if (is_wanted) bench::Ablation{variant, options.seed + static_cast<std::uint64_t>(i), options}.run();
      }
    }
    write_report(variants, options);
  });
}
