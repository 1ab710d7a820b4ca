// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The evidence for what the demo shows: many seeds, each with rooms of its own held out, and the controls that learning
// in context has to be told from. Every arm of every seed is kept in a file of its own, so that an interrupted run goes
// on, and several processes may share the work by --seed and --seeds.
//   systematic_explorer_..., q_learning_...  the two recipes of the demo, with products in bfloat16 and in float32
//   expert_distillation                      the oracle's histories in place of a learner's: nothing in them improves;
//                                            trained as Q-learning's are
//   expert_distillation_as_explorer          the same, trained as the explorer's are
//   half_an_episode                          Q-learning's histories, but a context of half an episode: what it knows of
//                                            the one before it forgets on its way; with more contexts open later on it
//   shuffled_episodes                        Q-learning's histories with their episodes in random order
//   q_learning_leaking                       Q-learning's recipe with images of held-out rooms among the histories:
//                                            what a leak would add
//   ..., forgetting                          the same models, their memory emptied after every episode
#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include <icrl/eval/csv.hpp>
#include <icrl/eval/svg.hpp>

#include "support/evidence_claims.hpp"
#include "support/json_summary.hpp"

using namespace icrl;
using example::Arm;
using example::ArmReport;
using example::Outcome;
using example::Pooled;

namespace {

std::string arm_names() {
  std::string names;
  for (const Arm& arm : example::all_arms()) names += (names.empty() ? "" : ", ") + arm.name;
  return names;
}

/// Those that are wanted, all if none is named.
std::vector<Arm> chosen_arms(const std::vector<std::string>& wanted) {
  std::vector<Arm> arms = example::all_arms();
  for (const std::string& name : wanted) {
    if (std::ranges::none_of(arms, [&](const Arm& arm) { return arm.name == name; }))
      fail("--arms: there is no arm {}; there are {}", name, arm_names());
  }
  if (!wanted.empty())
    std::erase_if(arms, [&](const Arm& arm) { return std::ranges::find(wanted, arm.name) == wanted.end(); });
  return arms;
}

/// The work of a whole run and how long it has taken so far.
class Schedule {
public:
  Schedule(example::Evidence& evidence, std::uint64_t first_seed, int seed_count, int control_count)
      : evidence_{evidence}, first_seed_{first_seed}, seed_count_{seed_count}, control_count_{control_count} {}

  /// Outcomes by arm, each seed by seed. The main arms of one seed come after one another and before all controls, so
  /// that an unfinished run tells as much as it can.
  std::vector<std::vector<Outcome>> all_outcomes(const std::vector<Arm>& arms) {
    std::vector<std::vector<Outcome>> outcomes(arms.size());
    int total = 0, done = 0;
    for (const Arm& arm : arms) total += seeds_of(arm);
    for (const bool is_main : {true, false}) {
      for (int number = 0; number < seed_count_; ++number) {
        for (std::size_t a = 0; a < arms.size(); ++a) {
          if (arms[a].is_main != is_main || number >= seeds_of(arms[a])) continue;
          outcomes[a].push_back(evidence_.outcome(arms[a], first_seed_ + static_cast<std::uint64_t>(number)));
          report(outcomes[a].back(), ++done, total);
        }
      }
    }
    return outcomes;
  }

  [[nodiscard]] int seeds_of(const Arm& arm) const {
    return arm.is_main ? seed_count_ : std::min(seed_count_, control_count_);
  }
  [[nodiscard]] int control_count() const { return std::min(seed_count_, control_count_); }

  /// What `lived(seed)` returns for the seeds of the controls.
  template <typename Lived>
  [[nodiscard]] Pooled controls(Lived&& lived) const {
    std::vector<LearningCurves> by_seed;
    for (int number = 0; number < control_count(); ++number)
      by_seed.push_back(lived(first_seed_ + static_cast<std::uint64_t>(number)));
    return Pooled{std::move(by_seed)};
  }

private:
  void report(const Outcome& outcome, int done, int total) const {
    const std::chrono::duration<double, std::ratio<60>> minutes = std::chrono::steady_clock::now() - begin_;
    const LearningCurves& curves = outcome.curves[0];
    const ReferenceReturns references = reference_returns(evidence_.rooms(), curves.tasks());
    const auto share = [&](int first, int last) { return share_of_oracle(curves, references, first, last); };
    fmt::print(
        "{:3} of {}, {:.0f} min: {} seed {}: 9-10 {:.3f}, 41-50 {:.3f}, 91-100 {:.3f}, lost {}; trained in {:.0f} s\n",
        done, total, minutes.count(), outcome.facts.at("arm").get<std::string>(),
        outcome.facts.at("seed").get<std::uint64_t>(), share(9, 10), share(41, 50), share(91, 100),
        unlearned_tasks(curves, references, 41, 50).size(), outcome.facts.at("train_seconds").get<double>());
  }

  example::Evidence& evidence_;
  std::uint64_t first_seed_;
  int seed_count_, control_count_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Draws the arms, those of the demo beside their sources. Of the main arms one kind of products is drawn: the others
/// lie on the same lines.
class Picture {
public:
  explicit Picture(const example::Evidence& evidence, int seed_count, int control_count)
      : evidence_{evidence},
        plot_{.title = fmt::format("Frozen models in unseen rooms (16 per seed, 16 runs each): {} seeds, controls {}",
                                   seed_count, control_count),
              .y_label = "return of an episode (mean, 95 % interval)"} {}

  void add(const std::string& name, const Pooled& pooled, int color, PlotStroke stroke = PlotStroke::solid) {
    if (plot_.levels.empty()) {
      const ReferenceReturns references = reference_returns(evidence_.rooms(), pooled.curves.tasks());
      plot_.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    }
    plot_.series.push_back(plot_series(name, pooled.curves, pooled.bootstrap(500)));
    plot_.series.back().color = color;
    plot_.series.back().stroke = stroke;
  }

  void add_source(const example::Recipe& recipe, int color, const EvaluationConfig& config) {
    std::vector<int> everywhere(static_cast<std::size_t>(evidence_.rooms().task_count()));
    std::iota(everywhere.begin(), everywhere.end(), 0);
    const LearningCurves curves = live_source(recipe, evidence_.rooms(), everywhere, config);
    plot_.series.push_back({.name = fmt::format("{} itself, as recorded, all rooms", name_of(recipe.source)),
                            .y = curves.mean_by_episode(),
                            .stroke = PlotStroke::dashed,
                            .color = color});
  }

  [[nodiscard]] const Plot& plot() const { return plot_; }

private:
  const example::Evidence& evidence_;
  Plot plot_;
};

/// The processors that the outcomes come from.
std::string cpus_of(const std::vector<ArmReport>& reports) {
  std::set<std::string> names;
  for (const ArmReport& report : reports)
    for (const Json& facts : report.facts) names.insert(facts.at("cpu").get<std::string>());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "; ") + name;
  return text;
}

std::string evidence_text(const std::vector<ArmReport>& reports, const example::Claims& claims, int control_count) {
  const std::string products =
      has_bfloat16_products
          ? "Products of the main arms are in bfloat16 and in float32, those of the controls in float32."
          : "This build does not multiply in bfloat16 (no AVX512-BF16): nothing was measured with it, nothing is claimed "
            "of it.";
  return fmt::format(
      "Shares of the oracle's return on the same held-out goals, by episode: mean of the seeds, and 95 % interval over "
      "seeds and the goals of each.\nControls: the first {} of the seeds. CPU: {}. {}\n"
      "*Goals lost*: mean over episodes 41-50 not above half the oracle's; *lives lost*: single runs of which this is "
      "so.\n*Ever found*: share of the runs in which any episode is rewarded; *kept*: share of the episodes after a "
      "run's first reward that are rewarded as well.\nThe two columns of distances: episodes 41-50, goals so many steps "
      "from the start.\n\n{}\n{}\nReturn of episode 1, mean over all 81 goals and 95 % interval over seeds (no agent can "
      "expect more than 210 / 81 = 2.593):\n\n{}\n{}",
      control_count, cpus_of(reports), products, arm_table(reports), seed_table(reports), first_episode_lines(reports),
      claims.text());
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Many seeds and the controls: is it learning in context?", "out/060_dark_room_evidence"};
  int seed_count = 5, control_count = 5;
  std::vector<std::string> wanted;
  program.add("--seeds", seed_count, "seeds, from --seed on; each has its own held-out rooms", 1, 1000);
  program.add("--control-seeds", control_count, "of these, how many the controls have", 1, 1000);
  program.add("--arms", wanted, "only these, with commas between them: " + arm_names());

  return program.run(argc, argv, [&](const example::Options& options) {
    if (options.quick) seed_count = 1;
    const std::vector<Arm> arms = chosen_arms(wanted);
    example::Evidence evidence{options};
    Schedule schedule{evidence, options.seed, seed_count, control_count};
    Picture picture{evidence, seed_count, schedule.control_count()};
    std::vector<ArmReport> reports;
    int color = 0;

    const auto outcomes = schedule.all_outcomes(arms);
    for (std::size_t a = 0; a < arms.size(); ++a) {
      const Arm& arm = arms[a];
      const bool is_drawn = !arm.is_main || arm.can_forget;
      for (std::size_t d = 0; d < arm.decodings.size(); ++d) {
        std::vector<LearningCurves> by_seed;
        for (const Outcome& outcome : outcomes[a]) by_seed.push_back(outcome.curves[d]);
        const Pooled pooled{std::move(by_seed)};
        reports.emplace_back(arm, "", arm.decodings[d], pooled, evidence.rooms());
        if (d == 0) reports.back().tell(outcomes[a]);
        if (is_drawn && d == 0) picture.add(arm.name, pooled, color);
      }
      if (arm.name == "half_an_episode") {
        const Pooled pooled =
            schedule.controls([&](std::uint64_t seed) { return evidence.with_contexts(arm, seed, 5); });
        reports.emplace_back(arm, ", 5 contexts", arm.decodings[0], pooled, evidence.rooms());
      }
      if (arm.can_forget) {
        const Pooled pooled = schedule.controls([&](std::uint64_t seed) { return evidence.forgetting(arm, seed); });
        reports.emplace_back(arm, ", forgetting", arm.decodings[0], pooled, evidence.rooms());
        if (arm.is_main) picture.add(arm.name + ", forgetting", pooled, color, PlotStroke::dotted);
      }
      if (arm.is_main && arm.can_forget) {
        picture.add_source(
            arm.recipe, color,
            {.runs = options.quick ? 1 : 4, .episodes = 100, .seed = options.seed, .thread_count = options.threads});
      }
      if (is_drawn) ++color;
    }

    const example::Claims claims{reports};
    const std::string text = evidence_text(reports, claims, schedule.control_count());
    Json arms_json = Json::array();
    for (const ArmReport& report : reports) arms_json.push_back(report.json());
    example::write_text(options.out / "evidence.svg", to_svg(picture.plot()));
    example::write_text(options.out / "evidence.csv", to_csv(picture.plot()));
    example::write_text(options.out / "evidence.md", text);
    example::write_json_summary(
        options.out,
        {{"seeds", seed_count}, {"first_seed", options.seed}, {"arms", arms_json}, {"claims", claims.to_json()}});
    fmt::print("\n{}", text);
    if (wanted.empty() && !options.quick) claims.expect_all();
  });
}
