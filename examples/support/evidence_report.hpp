// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <icrl/eval/comparison.hpp>
#include <icrl/eval/success.hpp>

#include "support/evidence.hpp"

// What the outcomes of 060_dark_room_evidence are shown by: one report for each arm and decoding, rows of two tables.
namespace example {

/// All seeds of one arm with one decoding.
struct Pooled {
  icrl::LearningCurves curves;  ///< tasks of all seeds, one after the other
  std::vector<icrl::LearningCurves> by_seed;

  explicit Pooled(std::vector<icrl::LearningCurves> seeds) : curves{seeds[0]}, by_seed{std::move(seeds)} {
    for (std::size_t s = 1; s < by_seed.size(); ++s) curves = joined(curves, by_seed[s]);
  }

  /// Goals of one seed share a model.
  [[nodiscard]] icrl::BootstrapConfig bootstrap(int resamples = 2000) const {
    return {.resamples = resamples, .clusters = static_cast<int>(by_seed.size())};
  }
};

[[nodiscard]] inline icrl::Json to_json(const icrl::Estimate& estimate) {
  return {{"value", estimate.value}, {"interval", {estimate.interval.low, estimate.interval.high}}};
}

/// The share of the oracle over some episodes: of each seed, their mean, and its interval.
struct Share {
  std::vector<double> by_seed;
  icrl::Estimate mean;

  Share(const Pooled& pooled, const icrl::DarkRooms& rooms, int first, int last) {
    for (const icrl::LearningCurves& curves : pooled.by_seed)
      by_seed.push_back(share_of_oracle(curves, reference_returns(rooms, curves.tasks()), first, last));
    const icrl::ReferenceReturns references = reference_returns(rooms, pooled.curves.tasks());
    mean = estimate_share_of_oracle(pooled.curves, references, first, last, pooled.bootstrap());
    mean.value = icrl::mean(by_seed);
  }

  [[nodiscard]] double worst() const { return std::ranges::min(by_seed); }
  [[nodiscard]] std::string text() const {
    return fmt::format("{:.3f} [{:.3f}, {:.3f}]", mean.value, mean.interval.low, mean.interval.high);
  }
  [[nodiscard]] icrl::Json json() const {
    icrl::Json json = to_json(mean);
    json["by_seed"] = by_seed;
    return json;
  }
};

/// The share over episodes 41 .. 50 of those goals alone that lie `least` .. `most` steps from the start; none if there
/// is no such goal.
[[nodiscard]] inline std::optional<double> share_at_distance(const Pooled& pooled, const icrl::DarkRooms& rooms,
                                                             int least, int most) {
  const std::vector<double> means = pooled.curves.mean_by_task(41, 50);
  double earned = 0, possible = 0;
  for (std::size_t i = 0; i < means.size(); ++i) {
    const double oracle = rooms.oracle_return(pooled.curves.tasks()[i]);
    const int distance = rooms.options().horizon + 1 - static_cast<int>(std::lround(oracle));  // of all but the start
    if (distance < least || distance > most) continue;
    earned += means[i];
    possible += oracle;
  }
  return possible > 0 ? std::optional{earned / possible} : std::nullopt;
}

/// How many single lives earn no more than half the oracle's return over episodes 41 .. 50.
[[nodiscard]] inline int lost_lives(const Pooled& pooled, const icrl::DarkRooms& rooms) {
  int lost = 0;
  for (int task = 0; task < pooled.curves.task_count(); ++task)
    for (int run = 0; run < pooled.curves.run_count(); ++run) {
      const auto returns = pooled.curves.returns(task, run).subspan(40, 10);
      const double oracle = rooms.oracle_return(pooled.curves.tasks()[static_cast<std::size_t>(task)]);
      lost += icrl::mean(returns) > 0.5 * oracle ? 0 : 1;
    }
  return lost;
}

/// How much more episodes 41 .. 50 earn than 1 .. 10, as a share of the oracle.
[[nodiscard]] inline icrl::Estimate improvement(const Pooled& pooled, const icrl::DarkRooms& rooms) {
  std::vector<double> gain = pooled.curves.mean_by_task(41, 50);
  const std::vector<double> early = pooled.curves.mean_by_task(1, 10);
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] -= early[i];
  const double oracle = icrl::mean(reference_returns(rooms, pooled.curves.tasks()).oracle);
  const icrl::Estimate estimate = estimate_mean(gain, pooled.bootstrap());
  return {estimate.value / oracle, {estimate.interval.low / oracle, estimate.interval.high / oracle}};
}

/// All that is told of an arm with one decoding.
struct ArmReport {
  std::string name;
  Source source;
  icrl::Decoding decoding;
  bool is_main;
  Share first, ninth_to_tenth, forties, nineties, first_ten;
  std::vector<int> lost_by_seed;  ///< goals whose mean over episodes 41 .. 50 does not exceed half the oracle's
  int goal_count, lives, lost_lives;
  icrl::SuccessCounts successes;
  icrl::Estimate gain;
  std::optional<double> near, far;
  icrl::Estimate first_return{};             ///< of episode 1 on the held-out goals
  icrl::Estimate first_return_everywhere{};  ///< and on all goals; 0 where it was not measured
  icrl::Estimate first_gap{};                ///< held-out goals less all others
  std::vector<std::uint64_t> seeds{};
  icrl::Json facts = icrl::Json::array();

  /// Of an arm, or of a variant of it that has a name of its own and is a control.
  ArmReport(const Arm& arm, const std::string& variant, const icrl::Decoding& arm_decoding, const Pooled& pooled,
            const icrl::DarkRooms& rooms)
      : name{arm.name + variant},
        source{arm.recipe.source},
        decoding{arm_decoding},
        is_main{arm.is_main && variant.empty()},
        first{pooled, rooms, 1, 1},
        ninth_to_tenth{pooled, rooms, 9, 10},
        forties{pooled, rooms, 41, 50},
        nineties{pooled, rooms, 91, 100},
        first_ten{pooled, rooms, 1, 10},
        goal_count{pooled.curves.task_count()},
        lives{pooled.curves.task_count() * pooled.curves.run_count()},
        lost_lives{example::lost_lives(pooled, rooms)},
        successes{icrl::successes(pooled.curves)},
        gain{improvement(pooled, rooms)},
        near{share_at_distance(pooled, rooms, 1, 5)},
        far{share_at_distance(pooled, rooms, 6, 8)},
        first_return{estimate_mean(pooled.curves.mean_by_task(1, 1), pooled.bootstrap())} {
    for (const icrl::LearningCurves& curves : pooled.by_seed) {
      const icrl::ReferenceReturns references = reference_returns(rooms, curves.tasks());
      lost_by_seed.push_back(static_cast<int>(unlearned_tasks(curves, references, 41, 50).size()));
    }
  }

  /// The facts of all seeds; each mean of episode 1 is over all goals there are, so that only the seeds are a sample.
  void tell(const std::vector<Outcome>& outcomes) {
    std::vector<double> by_seed, gaps;
    for (const Outcome& outcome : outcomes) {
      facts.push_back(outcome.facts);
      seeds.push_back(outcome.facts.at("seed").get<std::uint64_t>());
      const auto by_goal = outcome.facts.at("first_episode_of_all_goals").get<std::vector<double>>();
      by_seed.push_back(icrl::mean(by_goal));
      std::vector<double> held_out, others;
      for (std::size_t goal = 0; goal < by_goal.size(); ++goal) {
        const bool is_held_out =
            std::ranges::find(outcome.curves[0].tasks(), static_cast<int>(goal)) != outcome.curves[0].tasks().end();
        (is_held_out ? held_out : others).push_back(by_goal[goal]);
      }
      gaps.push_back(icrl::mean(held_out) - icrl::mean(others));
    }
    first_return_everywhere = icrl::estimate_mean(by_seed);
    first_gap = icrl::estimate_mean(gaps);
  }

  [[nodiscard]] int lost_goals() const {
    int lost = 0;
    for (const int count : lost_by_seed) lost += count;
    return lost;
  }

  [[nodiscard]] icrl::Json json() const {
    return {{"arm", name},
            {"temperature", decoding.temperature},
            {"min_p", decoding.min_p},
            {"shares",
             {{"1", first.json()},
              {"1-10", first_ten.json()},
              {"9-10", ninth_to_tenth.json()},
              {"41-50", forties.json()},
              {"91-100", nineties.json()}}},
            {"goals", goal_count},
            {"lost_goals_by_seed", lost_by_seed},
            {"lives", lives},
            {"lost_lives", lost_lives},
            {"ever_found", successes.ever_found()},
            {"kept_after_first_success", successes.kept_after_first_success().value_or(0)},
            {"improvement", to_json(gain)},
            {"share_up_to_5_steps_away", near ? icrl::Json(*near) : icrl::Json()},
            {"share_6_to_8_steps_away", far ? icrl::Json(*far) : icrl::Json()},
            {"first_return", to_json(first_return)},
            {"first_return_everywhere", to_json(first_return_everywhere)},
            {"first_return_held_out_less_others", to_json(first_gap)},
            {"runs", facts}};
  }
};

/// A row for each arm.
[[nodiscard]] inline std::string arm_table(const std::vector<ArmReport>& reports) {
  std::string table =
      "| arm | T, min_p | 1 | 1-10 | 9-10 | 41-50 | 91-100 | worst seed 9-10, 41-50, 91-100 | goals lost | lives lost | "
      "ever found | kept | up to 5 steps away | 6 to 8 | 41-50 less 1-10 |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const ArmReport& r : reports) {
    const auto kept = r.successes.kept_after_first_success();
    const auto text_of = [](const std::optional<double>& share) { return share ? fmt::format("{:.3f}", *share) : "-"; };
    table += fmt::format(
        "| {} | {}, {} | {} | {} | {} | {} | {} | {:.3f}, {:.3f}, {:.3f} | {} of {} | {} of {} | {:.4f} | {} | {} | "
        "{} | {:+.3f} [{:+.3f}, {:+.3f}] |\n",
        r.name, r.decoding.temperature, r.decoding.min_p, r.first.text(), r.first_ten.text(), r.ninth_to_tenth.text(),
        r.forties.text(), r.nineties.text(), r.ninth_to_tenth.worst(), r.forties.worst(), r.nineties.worst(),
        r.lost_goals(), r.goal_count, r.lost_lives, r.lives, r.successes.ever_found(),
        kept ? fmt::format("{:.4f}", *kept) : "-", text_of(r.near), text_of(r.far), r.gain.value, r.gain.interval.low,
        r.gain.interval.high);
  }
  return table;
}

/// A row for each seed of the arms that claims are made of.
[[nodiscard]] inline std::string seed_table(const std::vector<ArmReport>& reports) {
  std::string head = "| seed |", line = "|---|", rows;
  std::vector<const ArmReport*> shown;
  for (const ArmReport& report : reports)
    if (report.is_main) shown.push_back(&report);
  if (shown.empty()) return {};
  for (const ArmReport* report : shown) {
    head += fmt::format(" {}: 9-10, 41-50, 91-100, goals lost |", report->name);
    line += "---|";
  }
  for (std::size_t s = 0; s < shown[0]->seeds.size(); ++s) {
    rows += fmt::format("| {} |", shown[0]->seeds[s]);
    for (const ArmReport* r : shown) {
      rows += fmt::format(" {:.3f}, {:.3f}, {:.3f}, {} |", r->ninth_to_tenth.by_seed[s], r->forties.by_seed[s],
                          r->nineties.by_seed[s], r->lost_by_seed[s]);
    }
    rows += "\n";
  }
  return head + "\n" + line + "\n" + rows;
}

/// A line for each arm whose agents have lived an episode for every goal there is.
[[nodiscard]] inline std::string first_episode_lines(const std::vector<ArmReport>& reports) {
  std::string lines;
  for (const ArmReport& r : reports) {
    if (r.facts.empty()) continue;
    const icrl::Estimate &all = r.first_return_everywhere, &held_out = r.first_return;
    lines += fmt::format(
        "- {}, T {}: {:.3f} [{:.3f}, {:.3f}]; on the held-out goals {:.3f} [{:.3f}, {:.3f}]; held-out less other goals "
        "{:+.3f} [{:+.3f}, {:+.3f}]\n",
        r.name, r.decoding.temperature, all.value, all.interval.low, all.interval.high, held_out.value,
        held_out.interval.low, held_out.interval.high, r.first_gap.value, r.first_gap.interval.low,
        r.first_gap.interval.high);
  }
  return lines;
}

}  // namespace example
