// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The evidence for what the demo shows: several seeds, each with rooms of its own held out, and the controls that
// learning in context has to be told from. Every arm of every seed is kept in a file of its own, so that an interrupted
// run goes on.
//   q_learning, systematic_explorer  the two recipes of the demo
//   expert_distillation              the oracle's histories in place of a learner's: nothing in them improves
//   half_an_episode                  Q-learning's histories, but a context too short to remember an episode
//   shuffled_episodes                Q-learning's histories with their episodes in random order
#include <fstream>
#include <iterator>
#include <numeric>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/svg.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

struct Arm {
  std::string name;
  example::Recipe recipe;
  std::vector<double> temperatures;  ///< of decoding; the recipe's own first
};

/// What one arm of one seed came to.
struct Outcome {
  Json facts;
  std::vector<LearningCurves> curves;  ///< by temperature
};

std::vector<Arm> all_arms() {
  const example::Recipe q_learning = example::q_learning_recipe(), explorer = example::systematic_explorer_recipe();
  const double q_temperature = q_learning.decoding.temperature;
  std::vector<Arm> arms{{"systematic_explorer", explorer, {explorer.decoding.temperature}},
                        {"q_learning", q_learning, {q_temperature}}};

  example::Recipe recipe = q_learning;
  recipe.source = example::Source::oracle;
  recipe.episodes = 14;
  recipe.windows.keep_every = 1;
  recipe.windows.skip_first = 0;
  arms.push_back({"expert_distillation", recipe, {q_temperature, explorer.decoding.temperature}});

  recipe = q_learning;
  recipe.windows.context = 10;
  recipe.windows.start = WindowStart::anywhere;
  recipe.distil.batch = q_learning.distil.batch * q_learning.windows.context / recipe.windows.context;
  arms.push_back({"half_an_episode", recipe, {q_temperature}});

  recipe = q_learning;
  recipe.windows.shuffle_episodes = true;
  arms.push_back({"shuffled_episodes", recipe, {q_temperature}});
  return arms;
}

Json to_json(const LearningCurves& curves) {
  Json returns = Json::array();
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run)
      returns.push_back(std::vector<double>(curves.returns(task, run).begin(), curves.returns(task, run).end()));
  return {{"tasks", std::vector<int>(curves.tasks().begin(), curves.tasks().end())},
          {"runs", curves.run_count()},
          {"returns", returns}};
}

LearningCurves curves_from_json(const Json& json) {
  const Json& returns = json.at("returns");
  LearningCurves curves{json.at("tasks").get<std::vector<int>>(), json.at("runs").get<int>(),
                        static_cast<int>(returns.at(0).size())};
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run) {
      const auto values =
          returns.at(static_cast<std::size_t>(task * curves.run_count() + run)).get<std::vector<double>>();
      std::copy(values.begin(), values.end(), curves.returns(task, run).begin());
    }
  return curves;
}

/// All seeds of one arm at one temperature.
struct Pooled {
  LearningCurves curves;  ///< tasks of all seeds, one after the other
  std::vector<LearningCurves> by_seed;

  explicit Pooled(std::vector<LearningCurves> seeds) : curves{seeds[0]}, by_seed{std::move(seeds)} {
    for (std::size_t s = 1; s < by_seed.size(); ++s) curves = joined(curves, by_seed[s]);
  }
};

Json to_json(const Estimate& estimate) {
  return {{"value", estimate.value}, {"interval", {estimate.interval.low, estimate.interval.high}}};
}

Json shares(const Pooled& pooled, const DarkRooms& rooms, int first, int last) {
  const ReferenceReturns references = reference_returns(rooms, pooled.curves.tasks());
  std::vector<double> by_seed;
  for (const LearningCurves& curves : pooled.by_seed)
    by_seed.push_back(share_of_oracle(curves, reference_returns(rooms, curves.tasks()), first, last));
  Json json = to_json(estimate_share_of_oracle(pooled.curves, references, first, last));
  json["by_seed"] = by_seed;
  json["mean_of_seeds"] = mean(by_seed);
  json["normalised_interquartile_mean"] =
      interquartile_mean(normalised_by_task(pooled.curves, references, first, last));
  return json;
}

/// How much more episodes 41 .. 50 earn than 1 .. 10, as a share of the oracle.
Estimate improvement(const Pooled& pooled, const DarkRooms& rooms) {
  std::vector<double> gain = pooled.curves.mean_by_task(41, 50);
  const std::vector<double> early = pooled.curves.mean_by_task(1, 10);
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] -= early[i];
  const double oracle = mean(reference_returns(rooms, pooled.curves.tasks()).oracle);
  const Estimate estimate = estimate_mean(gain);
  return {estimate.value / oracle, {estimate.interval.low / oracle, estimate.interval.high / oracle}};
}

/// What a curve is made of: how likely an episode is to be rewarded when none was before, and when the one before it
/// was.
struct Habits {
  double finds = 0, keeps = 0;
};

Habits habits_of(const LearningCurves& curves) {
  double found = 0, searched = 0, kept = 0, rewarded = 0;
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run) {
      bool was_ever_rewarded = false, was_rewarded = false;
      for (const double value : curves.returns(task, run)) {
        const bool is_rewarded = value > 0;
        if (!was_ever_rewarded) {
          ++searched;
          found += is_rewarded;
        }
        if (was_rewarded) {
          ++rewarded;
          kept += is_rewarded;
        }
        was_rewarded = is_rewarded;
        was_ever_rewarded = was_ever_rewarded || is_rewarded;
      }
    }
  return {found / std::max(1.0, searched), kept / std::max(1.0, rewarded)};
}

/// An agent that starts every episode with an empty memory: what it earns later it cannot owe to earlier episodes.
class ForgetfulAgent {
public:
  ForgetfulAgent(const CausalTransformer<float>& model, const Decoding& decoding) : agent_{model, decoding} {}

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    agent_.act(observation, action, rng);
  }
  void learn(const Transition& transition) {
    agent_.learn(transition);
    if (transition.ends_episode()) agent_.reset();
  }

private:
  InContextAgent<CausalTransformer<float>> agent_;
};

/// Trains and evaluates what is not there yet.
class Evidence {
public:
  Evidence(const example::Options& options, int seed_count) : options_{options}, seed_count_{seed_count} {}

  /// Trains and evaluates, or reads what an earlier run has left.
  Outcome outcome(const Arm& arm, int number) {
    const std::uint64_t seed = options_.seed + static_cast<std::uint64_t>(number);
    const std::string name = fmt::format("{}_{}", arm.name, seed);
    const auto path = options_.out / (name + ".json");
    if (!std::filesystem::exists(path)) example::write_text(path, to_text(produce(arm, seed, name), name));
    std::ifstream file{path};
    const Json json = parse_json(std::string{std::istreambuf_iterator<char>{file}, {}}, path.string());
    Outcome outcome{json.at("facts"), {}};
    for (const Json& curves : json.at("curves")) outcome.curves.push_back(curves_from_json(curves));
    return outcome;
  }

  /// The models of an arm once more, each agent's memory being emptied after every episode.
  Pooled forgetting(const Arm& arm) {
    std::vector<LearningCurves> by_seed;
    for (int number = 0; number < seed_count_; ++number) {
      const std::uint64_t seed = options_.seed + static_cast<std::uint64_t>(number);
      const auto model = load_model<float>(options_.out / fmt::format("{}_{}.safetensors", arm.name, seed));
      const auto make_learner = [&](int, const DarkRoom&) { return ForgetfulAgent{model, arm.recipe.decoding}; };
      by_seed.push_back(evaluate_learner(make_learner, rooms_, split_of(seed).held_out, evaluation(seed)));
    }
    return Pooled{std::move(by_seed)};
  }

private:
  [[nodiscard]] TaskSplit split_of(std::uint64_t seed) const {
    return split_tasks(rooms_.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = seed});
  }
  [[nodiscard]] EvaluationConfig evaluation(std::uint64_t seed) const {
    return {.runs = options_.quick ? 1 : 16, .episodes = 100, .seed = seed, .thread_count = options_.threads};
  }

  Json produce(const Arm& arm, std::uint64_t seed, const std::string& name) {
    example::Recipe recipe = options_.quick ? shortened(arm.recipe) : arm.recipe;
    const TaskSplit split = split_of(seed);
    const auto histories = record(recipe, rooms_, split.train, seed, options_.threads);
    const auto [model, trained] =
        distil_recipe(recipe, histories, rooms_, split.validation, seed, options_.threads, options_.out, name);
    const std::uint32_t weights = weights_checksum(model);
    const EvaluationConfig config = evaluation(seed);
    Json curves = Json::array();
    for (const double temperature : arm.temperatures)
      curves.push_back(to_json(evaluate(model, rooms_, split.held_out, config, {.temperature = temperature})));
    std::vector<int> everywhere(static_cast<std::size_t>(rooms_.task_count()));
    std::iota(everywhere.begin(), everywhere.end(), 0);
    EvaluationConfig once = config;
    once.episodes = 1;
    const LearningCurves first = evaluate(model, rooms_, everywhere, once, recipe.decoding);
    fmt::print("{}: {:.1f} M tokens in {:.0f} s, {:.0f} tokens/s\n", name, static_cast<double>(trained.tokens) / 1e6,
               trained.train_seconds, trained.tokens_per_second);
    std::fflush(stdout);
    return {{"facts",
             {{"arm", arm.name},
              {"seed", seed},
              {"tokens", trained.tokens},
              {"updates", trained.updates},
              {"best_update", trained.best_update},
              {"train_seconds", trained.train_seconds},
              {"tokens_per_second", trained.tokens_per_second},
              {"temperatures", arm.temperatures},
              {"first_episode_of_all_goals", first.mean_by_task(1, 1)},
              {"weights_before", fmt::format("{:08x}", weights)},
              {"weights_after", fmt::format("{:08x}", weights_checksum(model))}}},
            {"curves", curves}};
  }

  DarkRooms rooms_;
  example::Options options_;
  int seed_count_;
};

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Five seeds and the controls: is it learning in context?", "out/060_dark_room_evidence"};
  int seed_count = 5;
  std::vector<std::string> wanted;
  program.add("--seeds", seed_count, "seeds, from --seed on; each has its own held-out rooms", 1, 1000);
  program.add("--arms", wanted, "only these, with commas between them");

  return program.run(argc, argv, [&](const example::Options& options) {
    if (options.quick) seed_count = 1;
    const DarkRooms rooms;
    Evidence evidence{options, seed_count};
    Plot plot{.title = fmt::format("Frozen models in rooms never seen: {} seeds of 16 rooms, 16 runs each", seed_count),
              .y_label = "return of an episode (mean, 95 % of tasks)"};
    Json arms = Json::array();
    std::string table =
        "| arm | T | 1 | 1-10 | 9-10 | 41-50 | 91-100 | 41-50 by seed | goals learned | 41-50 less 1-10 | finds | "
        "keeps |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    std::string first_episodes;
    const auto add = [&](const std::string& name, double temperature, const Pooled& pooled) {
      const ReferenceReturns references = reference_returns(rooms, pooled.curves.tasks());
      const auto unlearned = unlearned_tasks(pooled.curves, references, 41, 50);
      Json windows = Json::object();
      for (const auto& [first, last] : {std::pair{1, 1}, {1, 10}, {9, 10}, {41, 50}, {91, 100}})
        windows[fmt::format("{}-{}", first, last)] = shares(pooled, rooms, first, last);
      const Estimate gain = improvement(pooled, rooms);
      const Habits habits = habits_of(pooled.curves);
      const auto cell = [&](const char* episodes) {
        const Json& share = windows.at(episodes);
        return fmt::format("{:.3f} [{:.3f}, {:.3f}]", share.at("mean_of_seeds").get<double>(),
                           share.at("interval").at(0).get<double>(), share.at("interval").at(1).get<double>());
      };
      std::string by_seed;
      for (const Json& value : windows.at("41-50").at("by_seed"))
        by_seed += fmt::format(" {:.3f}", value.get<double>());
      table += fmt::format(
          "| {} | {} | {} | {} | {} | {} | {} |{} | {} of {} | {:+.3f} [{:+.3f}, {:+.3f}] | {:.3f} | {:.3f} |\n", name,
          temperature, cell("1-1"), cell("1-10"), cell("9-10"), cell("41-50"), cell("91-100"), by_seed,
          pooled.curves.task_count() - static_cast<int>(unlearned.size()), pooled.curves.task_count(), gain.value,
          gain.interval.low, gain.interval.high, habits.finds, habits.keeps);
      arms.push_back({{"arm", name},
                      {"temperature", temperature},
                      {"shares", windows},
                      {"improvement", to_json(gain)},
                      {"finds", habits.finds},
                      {"keeps", habits.keeps},
                      {"unlearned_tasks", unlearned},
                      {"return_by_episode", pooled.curves.mean_by_episode()}});
      plot.series.push_back(plot_series(fmt::format("{}, T = {}", name, temperature), pooled.curves));
      if (plot.levels.empty()) plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    };
    for (const Arm& arm : all_arms()) {
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), arm.name) == wanted.end()) continue;
      std::vector<Outcome> outcomes;
      for (int number = 0; number < seed_count; ++number) outcomes.push_back(evidence.outcome(arm, number));
      for (std::size_t t = 0; t < arm.temperatures.size(); ++t) {
        std::vector<LearningCurves> by_seed;
        for (const Outcome& outcome : outcomes) by_seed.push_back(outcome.curves[t]);
        add(arm.name, arm.temperatures[t], Pooled{std::move(by_seed)});
      }
      std::vector<double> by_goal;  // the mean over seeds, which share all goals
      Json facts = Json::array();
      for (const Outcome& outcome : outcomes) {
        facts.push_back(outcome.facts);
        const auto values = outcome.facts.at("first_episode_of_all_goals").get<std::vector<double>>();
        by_goal.resize(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) by_goal[i] += values[i] / seed_count;
      }
      const Estimate first = estimate_mean(by_goal);
      arms.back()["first_episode_of_all_goals"] = to_json(first);
      arms.back()["runs"] = facts;
      first_episodes += fmt::format("- {}: {:.3f} [{:.3f}, {:.3f}]\n", arm.name, first.value, first.interval.low,
                                    first.interval.high);
      if (arm.name == "half_an_episode") add(arm.name + ", forgetting", arm.temperatures[0], evidence.forgetting(arm));
    }
    for (const example::Recipe& recipe : {example::systematic_explorer_recipe(), example::q_learning_recipe()}) {
      std::vector<int> everywhere(static_cast<std::size_t>(rooms.task_count()));
      std::iota(everywhere.begin(), everywhere.end(), 0);
      const auto curves = live_source(
          recipe, rooms, everywhere,
          {.runs = options.quick ? 1 : 4, .episodes = 100, .seed = options.seed, .thread_count = options.threads});
      plot.series.push_back({.name = std::string{name_of(recipe.source)} + " itself, learning, all rooms",
                             .y = curves.mean_by_episode(),
                             .is_dashed = true});
    }
    example::write_text(options.out / "evidence.svg", to_svg(plot));
    example::write_text(options.out / "evidence.csv", to_csv(plot));
    example::write_text(
        options.out / "evidence.md",
        "Shares of the oracle's return on the same held-out goals, by episode: mean of the seeds and 95 % interval "
        "over "
        "goals.\n*Finds*: probability that an episode is rewarded when none was before; *keeps*: when the one before "
        "was.\n\n" +
            table +
            "\nReturn of episode 1, mean over all 81 goals (no agent can have more than 210 / 81 = 2.593):\n\n" +
            first_episodes);
    example::write_summary(options.out, {{"seeds", seed_count}, {"first_seed", options.seed}, {"arms", arms}});
    fmt::print("\n{}\n{}", table, first_episodes);
  });
}
