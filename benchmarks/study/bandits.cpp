// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Algorithm Distillation on bandits: histories of a source are recorded and distilled, the temperature is chosen on
// validation bandits, and the frozen model is compared with its source and other learners on held-out bandits.
//
//   bandits [--problem bernoulli10 ...] [--seed 31 32 33] [--out out/bandits] [--quick]
//
// Appends one line of JSON per measure to OUT/bandits.jsonl, per seed and, with several seeds, for their mean, and
// draws the regret against pulls to OUT/PROBLEM.svg.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/linear_bandit.hpp>
#include <icrl/env/odd_even_bandit.hpp>
#include <icrl/env/switching_bandit.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/learner/change_filter.hpp>
#include <icrl/learner/lin_ucb.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/thompson_sampling.hpp>
#include <icrl/learner/ucb.hpp>

#include "study/bandit_study.hpp"
#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"

using namespace icrl;
using bench::BanditRecipe;
using bench::BanditSettings;
using bench::BanditStudy;

namespace {

/// The regrets per pull of each learner, on the same held-out bandits.
using Regrets = std::map<std::string, LearningCurves>;

/// What is claimed: a number made of totals, and how it is compared with a bar.
struct Claim {
  std::string name;
  std::function<Estimate(const Regrets&, int seeds)> measure;
  std::optional<double> bar{};  ///< none: reported only
  bool is_at_least = false;     ///< else at most
  std::string published = "";
  std::string told = "";  ///< what the method knows beside rewards
};

struct Problem {
  std::string name;
  std::function<Regrets(const BanditStudy&)> run;
  std::vector<Claim> claims;
  std::vector<std::string> drawn;
};

/// The regret of one learner divided by that of another one.
Claim ratio(const std::string& one, const std::string& other, std::optional<double> bar, bool is_at_least = false) {
  return {.name = fmt::format("regret of {} by that of {}", one, other),
          .measure =
              [=](const Regrets& regrets, int seeds) {
                return estimate_ratio(total_by_task(regrets.at(one)), total_by_task(regrets.at(other)),
                                      {.clusters = seeds});
              },
          .bar = bar,
          .is_at_least = is_at_least};
}

/// The total regret.
Claim total(const std::string& name) {
  return {.name = "regret of " + name, .measure = [=](const Regrets& regrets, int seeds) {
            return estimate_mean(total_by_task(regrets.at(name)), {.clusters = seeds});
          }};
}

/// The share of the oracle's `earned` per pull.
Claim share(const std::string& name, double earned, std::optional<double> bar) {
  return {.name = fmt::format("{}, share of the oracle", name),
          .measure =
              [=](const Regrets& regrets, int seeds) {
                std::vector<double> shares = total_by_task(regrets.at(name));
                for (double& value : shares) value = 1 - value / (earned * regrets.at(name).episode_count());
                return estimate_mean(shares, {.clusters = seeds});
              },
          .bar = bar,
          .is_at_least = true};
}

template <TaskFamily F>
LearningCurves random_regret(const F& family, std::span<const int> tasks, const EvaluationConfig& config) {
  return evaluate_learner_regret([](int, const auto& env) { return RandomPolicy{env.action_space()}; }, family, tasks,
                                 config);
}

const auto make_thompson = [](int, const auto& bandit) { return BernoulliThompson{arm_count(bandit)}; };
const auto make_ucb = [](int, const auto& bandit) { return Ucb{arm_count(bandit)}; };

Problem bernoulli(int arms) {
  const auto run = [arms](const BanditStudy& study) {
    const BernoulliBandits bandits{{.arms = arms}};
    const BanditRecipe recipe = study.adjusted({.max_noise = 0.3});
    const TaskSplit split = study.split(bandits.task_count(), recipe);
    const std::string name = fmt::format("bernoulli{}", arms);
    const auto model = study.distilled(name, bandits, split.train, make_thompson, recipe);
    const Decoding decoding{.temperature = study.temperature(model, bandits, split.validation, recipe)};
    const EvaluationConfig config = study.evaluation(recipe);
    return Regrets{{"agent", evaluate_regret(model, bandits, split.held_out, config, decoding)},
                   {"Thompson", evaluate_learner_regret(make_thompson, bandits, split.held_out, config)},
                   {"UCB1", evaluate_learner_regret(make_ucb, bandits, split.held_out, config)},
                   {"random", random_regret(bandits, split.held_out, config)}};
  };
  Claim claim = ratio("agent", "Thompson", 0.75);
  claim.published = "Headless-AD: 0.98 of Thompson sampling's return";
  return {fmt::format("bernoulli{}", arms),
          run,
          {claim, total("agent"), total("Thompson"), total("UCB1"), total("random")},
          {"agent", "Thompson", "UCB1"}};
}

/// `from_expert`: expert distillation, the control that must fail. Its histories begin when the source has learned.
Problem odd_even(bool from_expert) {
  const std::string name = from_expert ? "odd_even_expert" : "odd_even";
  const auto run = [=](const BanditStudy& study) {
    const OddEvenBandits odd{{.odd_share = 0.95}}, even{{.odd_share = 0.05}};
    const BanditRecipe recipe =
        study.adjusted({.pulls = 100, .max_noise = from_expert ? 0 : 0.3, .skipped_pulls = from_expert ? 300 : 0});
    const TaskSplit split = study.split(odd.task_count(), recipe);
    const auto model = study.distilled(name, odd, split.train, make_thompson, recipe);
    const Decoding decoding{.temperature = study.temperature(model, odd, split.validation, recipe)};
    const EvaluationConfig config = study.evaluation(recipe);
    Regrets regrets;
    for (const auto& [where, bandits] : {std::pair{"odd", odd}, std::pair{"even", even}}) {
      const auto add = [&](const char* learner, LearningCurves curves) {
        regrets.emplace(fmt::format("{}, {}", learner, where), std::move(curves));
      };
      add("agent", evaluate_regret(model, bandits, split.held_out, config, decoding));
      add("Thompson", evaluate_learner_regret(make_thompson, bandits, split.held_out, config));
      add("UCB1", evaluate_learner_regret(make_ucb, bandits, split.held_out, config));
      add("random", random_regret(bandits, split.held_out, config));
    }
    return regrets;
  };
  Claim in = ratio("agent, odd", "Thompson, odd", from_expert ? std::optional<double>{} : 1.05);
  Claim out = ratio("agent, even", "Thompson, even", from_expert ? 1.5 : 1.10, from_expert);
  if (!from_expert) out.published = "Laskin et al.: nearly as well as UCB (a figure)";
  std::vector<Claim> claims{in, out};
  std::vector<std::string> drawn;
  for (const char* where : {"odd", "even"}) {
    for (const char* learner : {"agent", "Thompson", "UCB1", "random"}) {
      claims.push_back(total(fmt::format("{}, {}", learner, where)));
      drawn.push_back(fmt::format("{}, {}", learner, where));
    }
  }
  return {name, run, claims, drawn};
}

Problem switching(int arms) {
  const auto run = [arms](const BanditStudy& study) {
    const BanditRecipe recipe = study.adjusted({.tasks = 10000, .updates = arms > 2 ? 1200 : 600, .max_noise = 0.3});
    const SwitchingBandits training{{.arms = arms}},
        test{{.arms = arms, .change_probability = 0, .change_after = recipe.pulls / 2}};
    const TaskSplit split = study.split(training.task_count(), recipe);
    const auto make_filter = [&training](int, const auto&) { return ChangeFilter{training.options()}; };
    const auto model = study.distilled(fmt::format("switching{}", arms), training, split.train, make_filter, recipe);
    const Decoding decoding{.temperature = study.temperature(model, training, split.validation, recipe)};
    const EvaluationConfig config = study.evaluation(recipe);
    // The windows are the best of 10, 20, 30, 50 and 100 on validation bandits.
    const auto best_of_windows = [&](auto make_learner) {
      std::optional<int> best;
      double least = 0;
      for (const int window : {10, 20, 30, 50, 100}) {
        const auto make = [&](int, const auto& bandit) { return make_learner(arm_count(bandit), window); };
        const double regret = mean(total_by_task(evaluate_learner_regret(make, training, split.validation, config)));
        if (best && regret >= least) continue;
        best = window;
        least = regret;
      }
      fmt::print("  window {}\n", *best);
      const auto make = [&](int, const auto& bandit) { return make_learner(arm_count(bandit), *best); };
      return evaluate_learner_regret(make, test, split.held_out, config);
    };
    const auto windowed_ucb = [](int count, int window) { return Ucb{count, {.exploration = 0.5, .window = window}}; };
    const auto windowed_thompson = [](int count, int window) { return BernoulliThompson{count, {.window = window}}; };
    return Regrets{{"agent", evaluate_regret(model, test, split.held_out, config, decoding)},
                   {"filter (source)", evaluate_learner_regret(make_filter, test, split.held_out, config)},
                   {"sliding-window UCB", best_of_windows(windowed_ucb)},
                   {"sliding-window Thompson", best_of_windows(windowed_thompson)},
                   {"Thompson", evaluate_learner_regret(make_thompson, test, split.held_out, config)},
                   {"random", random_regret(test, split.held_out, config)}};
  };
  Claim claim = share("agent", 0.9, arms == 2 ? 0.97 : 0.94);
  claim.told = "the source knows 0.9, 0.1 and the rate of changes";
  if (arms == 2) claim.published = "transformer 99.5 of 180, sliding-window UCB 140";
  return {
      fmt::format("switching{}", arms),
      run,
      {claim, share("filter (source)", 0.9, {}), share("sliding-window UCB", 0.9, {}),
       share("sliding-window Thompson", 0.9, {}), share("Thompson", 0.9, {}), share("random", 0.9, {}), total("agent")},
      {"agent", "filter (source)", "sliding-window UCB", "sliding-window Thompson"}};
}

Problem linear() {
  const auto run = [](const BanditStudy& study) {
    const LinearBandits bandits;
    const LinearBanditOptions& options = bandits.options();
    const BanditRecipe recipe = study.adjusted({.updates = 4000});
    const TaskSplit split = study.split(bandits.task_count(), recipe);
    const EvaluationConfig config = study.evaluation(recipe);
    const double ridge =
        options.features * options.reward_stddev * options.reward_stddev;  // noise by weight, both as variances
    const auto lin_ucb = [&](double exploration) {
      return [&, exploration](int, const auto&) {
        return LinUcb{options.features, options.arms, {.exploration = exploration, .ridge = ridge}};
      };
    };
    double best = 0, least = 1e300;
    for (const double exploration : {0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0}) {
      const double regret =
          mean(total_by_task(evaluate_learner_regret(lin_ucb(exploration), bandits, split.validation, config)));
      fmt::print("  LinUCB, alpha {}: regret {:.2f}\n", exploration, regret);
      if (regret >= least) continue;
      best = exploration;
      least = regret;
    }
    const auto model = study.distilled("linear", bandits, split.train, lin_ucb(best), recipe);
    const Decoding decoding{.temperature = study.temperature(model, bandits, split.validation, recipe)};
    return Regrets{{"agent", evaluate_regret(model, bandits, split.held_out, config, decoding)},
                   {"LinUCB", evaluate_learner_regret(lin_ucb(best), bandits, split.held_out, config)},
                   {"random", random_regret(bandits, split.held_out, config)}};
  };
  return {"linear",
          run,
          {ratio("agent", "LinUCB", 1), total("agent"), total("LinUCB"), total("random")},
          {"agent", "LinUCB"}};
}

void report(const Problem& problem, const std::string& seed, int seeds, const Regrets& regrets, double minutes,
            const std::string& command, const BanditSettings& settings) {
  std::ofstream out{settings.out / "bandits.jsonl", std::ios::app};
  for (const Claim& claim : problem.claims) {
    const Estimate estimate = claim.measure(regrets, seeds);
    Json row{{"name", problem.name + ": " + claim.name},
             {"seed", seed},
             {"quick", settings.quick},
             {"value", estimate.value},
             {"low", estimate.interval.low},
             {"high", estimate.interval.high},
             {"bar", nullptr},
             {"published", claim.published},
             {"told", claim.told},
             {"minutes", minutes},
             {"cpu", bench::processor_name()},
             {"command", command}};
    if (claim.bar) {
      row["bar"] = fmt::format("{} {}", claim.is_at_least ? ">=" : "<=", *claim.bar);
      row["reached"] = claim.is_at_least ? estimate.value >= *claim.bar : estimate.value <= *claim.bar;
    }
    if (!(out << row.dump() << std::endl)) fail("{}: cannot be written", (settings.out / "bandits.jsonl").string());
    fmt::print("{} seed {}: {} {:.4f} ({:.4f} .. {:.4f}){}\n", problem.name, seed, claim.name, estimate.value,
               estimate.interval.low, estimate.interval.high,
               claim.bar ? (row["reached"].get<bool>() ? ", reached" : ", NOT REACHED") : "");
  }
  std::fflush(stdout);
}

void draw(const Problem& problem, const Regrets& regrets, const BanditSettings& settings) {
  Plot plot{.title = problem.name, .x_label = "pull", .y_label = "regret (mean, 95 % interval over bandits)"};
  for (const std::string& name : problem.drawn)
    plot.series.push_back(plot_series(name, cumulative(regrets.at(name)), {.resamples = 200}));
  bench::write_text(settings.out / (problem.name + ".svg"), to_svg(plot));
}

void study(const Problem& problem, const std::string& command, const BanditSettings& settings) {
  Regrets all;
  double all_minutes = 0;
  for (const int seed : settings.seeds) {
    const auto begin = std::chrono::steady_clock::now();
    Regrets regrets = problem.run(BanditStudy{settings, seed});
    const std::chrono::duration<double, std::ratio<60>> minutes = std::chrono::steady_clock::now() - begin;
    all_minutes += minutes.count();
    report(problem, fmt::format("{}", seed), 1, regrets, minutes.count(), command, settings);
    for (auto& [name, curves] : regrets) {
      const auto found = all.find(name);
      if (found == all.end()) {
        all.emplace(name, std::move(curves));
      } else {
        found->second = joined(found->second, curves);
      }
    }
  }
  const int seeds = static_cast<int>(settings.seeds.size());
  if (seeds > 1)
    report(problem, fmt::format("mean of {}", fmt::join(settings.seeds, ", ")), seeds, all, all_minutes, command,
           settings);
  draw(problem, all, settings);
}

}  // namespace

int main(int argc, char** argv) {
  BanditSettings settings;
  CLI::App app{"Algorithm Distillation on bandits"};
  app.add_option("--problem", settings.problems,
                 "bernoulli10, bernoulli5, odd_even, odd_even_expert, switching2, switching5, linear");
  app.add_option("--seed", settings.seeds);
  app.add_option("--tasks", settings.tasks, "training bandits; 0: those of the problem");
  app.add_option("--updates", settings.updates, "0: those of the problem");
  app.add_option("--noise", settings.noise, "largest noise of a history; -1: that of the problem");
  app.add_option("--width", settings.width)->check(bench::counts);
  app.add_option("--layers", settings.layers)->check(bench::counts);
  app.add_option("--batch", settings.batch)->check(bench::counts);
  app.add_option("--threads", settings.threads, "0 = all cores");
  app.add_option("--out", settings.out, "folder of bandits.jsonl and pictures");
  app.add_flag("--quick", settings.quick, "everything happens, nothing is learned");
  return bench::run_program(app, argc, argv, [&] {
    const std::vector<Problem> known{bernoulli(10), bernoulli(5), odd_even(false), odd_even(true),
                                     switching(2),  switching(5), linear()};
    std::string command = "bandits";
    for (int i = 1; i < argc; ++i) command += fmt::format(" {}", argv[i]);
    std::filesystem::create_directories(settings.out);
    std::vector<std::string> wanted = settings.problems;
    if (wanted.empty())
      for (const Problem& problem : known) wanted.push_back(problem.name);
    for (const std::string& name : wanted) {
      const auto problem = std::ranges::find(known, name, &Problem::name);
      if (problem == known.end()) fail("bandits: there is no problem \"{}\"", name);
      study(*problem, command, settings);
    }
  });
}
