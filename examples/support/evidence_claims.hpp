// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/evidence_report.hpp"

namespace example {

/// What the documentation says was learned, held against the numbers of a whole run.
class Claims {
public:
  explicit Claims(const std::vector<ArmReport>& reports) : reports_{reports} {
    for (const ArmReport& arm : reports) {
      if (!arm.is_main) continue;
      if (arm.source == Source::systematic_explorer) claim_explorer(arm);
      if (arm.source == Source::q_learning) claim_q_learning(arm);
      claim_of_both(arm);
    }
    for (const ArmReport& arm : reports) claim_control(arm);
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const icrl::Json& to_json() const { return json_; }

  /// Throws Error unless all are met, and all controls that claims are made of are there.
  void expect_all() const {
    if (!broken_.empty()) icrl::fail("not met: {}", broken_);
    constexpr int expected = 7;  // expert distillation three times, three that forget, one that leaks
    if (control_claims_ != expected)
      icrl::fail("claims were made of {} controls, not of {}: were arms renamed?", control_claims_, expected);
  }

private:
  static constexpr double most_in_episode_1 = 210.0 / 81;

  void claim_explorer(const ArmReport& arm) {
    at_least(arm.name + ", episodes 9-10", arm.ninth_to_tenth.mean.value, 0.98);
    at_least(arm.name + ", episodes 9-10, worst seed", arm.ninth_to_tenth.worst(), 0.94);
    at_least(arm.name + ", episodes 41-50, worst seed", arm.forties.worst(), 0.99);
  }

  void claim_q_learning(const ArmReport& arm) {
    at_least(arm.name + ", episodes 41-50", arm.forties.mean.value, 0.975);
    at_least(arm.name + ", episodes 41-50, worst seed", arm.forties.worst(), 0.955);
    at_least(arm.name + ", episodes 91-100, worst seed", arm.nineties.worst(), 0.98);
  }

  void claim_of_both(const ArmReport& arm) {
    at_most(fmt::format("{}, goals lost of {}", arm.name, arm.goal_count), arm.lost_goals(), 0);
    int changed = 0, leaked = 0;
    for (const icrl::Json& facts : arm.facts) {
      changed += facts.at("weights_before") != facts.at("weights_after");
      leaked += facts.at("histories_of_other_tasks").get<int>();
    }
    at_most(arm.name + ", models whose weights changed while acting", changed, 0);
    at_most(arm.name + ", histories of rooms that are not for training", leaked, 0);
    at_most(arm.name + ", return of episode 1, all goals, lower end", arm.first_return_everywhere.interval.low,
            most_in_episode_1);
    // No agent can know where a goal is before its first episode: held-out goals are worth no less to it than others.
    at_most(arm.name + ", return of episode 1, held-out goals less training goals, lower end",
            arm.first_gap.interval.low, 0);
  }

  /// Those that must not learn as the main arms do, and the one that must be seen to leak.
  void claim_control(const ArmReport& control) {
    const std::string what = fmt::format("{}, T {}", control.name, control.decoding.temperature);
    if (control.name.ends_with(", forgetting")) {
      at_most(what + ", change from episodes 1-10 to 41-50", std::abs(control.gain.value), 0.05);
      ++control_claims_;
    } else if (control.name.starts_with("expert_distillation")) {
      for (const ArmReport& arm : reports_) {
        if (!arm.is_main) continue;
        at_most(fmt::format("{}, episodes 1-10, upper end, against {}", what, arm.name),
                control.first_ten.mean.interval.high, arm.first_ten.mean.interval.low);
        at_most(fmt::format("{}, episodes 41-50, upper end, against {}", what, arm.name),
                control.forties.mean.interval.high, arm.forties.mean.interval.low);
      }
      ++control_claims_;
    } else if (control.name == "q_learning_leaking") {
      int leaked = 0;
      for (const icrl::Json& facts : control.facts) leaked += facts.at("histories_of_other_tasks").get<int>();
      at_least(what + ", histories of rooms that are not for training", leaked, 1);
      ++control_claims_;
    }
  }

  void at_least(const std::string& what, double value, double bound) {
    add(what, value, "at least", bound, value >= bound);
  }
  void at_most(const std::string& what, double value, double bound) {
    add(what, value, "at most", bound, value <= bound);
  }

  void add(const std::string& what, double value, std::string_view relation, double bound, bool is_met) {
    text_ += fmt::format("- {}: {}: {:.3f}, {} {:.3f}\n", is_met ? "met" : "NOT MET", what, value, relation, bound);
    json_.push_back({{"claim", what}, {"value", value}, {"relation", relation}, {"bound", bound}, {"met", is_met}});
    if (!is_met) broken_ += (broken_.empty() ? "" : "; ") + what;
  }

  const std::vector<ArmReport>& reports_;
  std::string text_, broken_;
  int control_claims_ = 0;
  icrl::Json json_ = icrl::Json::array();
};

}  // namespace example
