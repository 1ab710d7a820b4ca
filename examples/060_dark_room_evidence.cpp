// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The evidence for what the demo shows: several seeds, each with rooms of its own held out, and the controls that
// learning in context has to be told from. Every arm of every seed is kept in a file of its own, so that an interrupted
// run goes on.
//   q_learning, systematic_explorer  the two recipes of the demo
//   expert_distillation              the oracle's histories in place of a learner's: nothing in them improves
//   half_an_episode                  Q-learning's histories, but a context of half an episode: what it knows of the one
//                                    before it forgets on its way; with more contexts open later on that way
//   shuffled_episodes                Q-learning's histories with their episodes in random order
//   ..., forgetting                  the same models, their memory emptied after every episode
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>
#include <icrl/agent/in_context_agent.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/io/model_file.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/json_summary.hpp"

using namespace icrl;

namespace {

struct Arm {
  std::string name;
  example::Recipe recipe;
  std::vector<double> temperatures;  ///< of decoding; the recipe's own first
  bool can_forget = false;           ///< is shown with its memory emptied after every episode, too
};

/// What one arm of one seed came to.
struct Outcome {
  Json facts;
  std::vector<LearningCurves> curves;  ///< by temperature
};

std::vector<Arm> all_arms() {
  const example::Recipe q_learning = example::q_learning_recipe(), explorer = example::systematic_explorer_recipe();
  const double q_temperature = q_learning.decoding.temperature;
  std::vector<Arm> arms{{"systematic_explorer", explorer, {explorer.decoding.temperature}, true},
                        {"q_learning", q_learning, {q_temperature}, true}};

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
  arms.push_back({"half_an_episode", recipe, {q_temperature}, true});

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

  /// Goals of one seed share a model.
  [[nodiscard]] BootstrapConfig bootstrap(int resamples = 2000) const {
    return {.resamples = resamples, .clusters = static_cast<int>(by_seed.size())};
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
  Json json = to_json(estimate_share_of_oracle(pooled.curves, references, first, last, pooled.bootstrap()));
  json["by_seed"] = by_seed;
  json["mean_of_seeds"] = mean(by_seed);
  json["normalised_interquartile_mean"] =
      interquartile_mean(normalised_by_task(pooled.curves, references, first, last));
  return json;
}

/// The share over episodes 41 .. 50 of those goals alone that lie `least` .. `most` steps from the start.
double share_at_distance(const Pooled& pooled, const DarkRooms& rooms, int least, int most) {
  const std::vector<double> means = pooled.curves.mean_by_task(41, 50);
  double earned = 0, possible = 0;
  for (std::size_t i = 0; i < means.size(); ++i) {
    const double oracle = rooms.oracle_return(pooled.curves.tasks()[i]);
    const int distance = rooms.options().horizon + 1 - static_cast<int>(std::lround(oracle));  // of all but the start
    if (distance < least || distance > most) continue;
    earned += means[i];
    possible += oracle;
  }
  return earned / possible;
}

/// How many single lives earn no more than half the oracle's return over episodes 41 .. 50.
int lost_lives(const Pooled& pooled, const DarkRooms& rooms) {
  int lost = 0;
  for (int task = 0; task < pooled.curves.task_count(); ++task)
    for (int run = 0; run < pooled.curves.run_count(); ++run) {
      const auto returns = pooled.curves.returns(task, run).subspan(40, 10);
      lost += mean(returns) > 0.5 * rooms.oracle_return(pooled.curves.tasks()[static_cast<std::size_t>(task)]) ? 0 : 1;
    }
  return lost;
}

/// How much more episodes 41 .. 50 earn than 1 .. 10, as a share of the oracle.
Estimate improvement(const Pooled& pooled, const DarkRooms& rooms) {
  std::vector<double> gain = pooled.curves.mean_by_task(41, 50);
  const std::vector<double> early = pooled.curves.mean_by_task(1, 10);
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] -= early[i];
  const double oracle = mean(reference_returns(rooms, pooled.curves.tasks()).oracle);
  const Estimate estimate = estimate_mean(gain, pooled.bootstrap());
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
    if (!std::filesystem::exists(path)) {
      example::write_text(path, to_text(produce(arm, seed, name), name));
      example::forget_checkpoint(options_.out, name);
    }
    std::ifstream file{path};
    const Json json = parse_json(std::string{std::istreambuf_iterator<char>{file}, {}}, path.string());
    if (!json.contains("facts") || !json.contains("curves")) fail("{}: is no outcome of an arm", path.string());
    const Json& facts = json.at("facts");
    if (facts.value("recipe", "") != describe(recipe_of(arm)) || facts.value("runs", 0) != runs())
      fail("{}: was left by another recipe or number of runs; remove it or choose another --out", path.string());
    Outcome outcome{facts, {}};
    for (const Json& curves : json.at("curves")) outcome.curves.push_back(curves_from_json(curves));
    return outcome;
  }

  /// The models of an arm once more, with another number of contexts open (see StaggeredMemory).
  Pooled with_contexts(const Arm& arm, int context_count) {
    std::vector<LearningCurves> by_seed;
    for (int number = 0; number < seed_count_; ++number) {
      const std::uint64_t seed = options_.seed + static_cast<std::uint64_t>(number);
      EvaluationConfig config = evaluation(seed);
      config.context_count = context_count;
      by_seed.push_back(evaluate(model_of(arm, seed), rooms_, split_of(seed).held_out, config, arm.recipe.decoding));
    }
    return Pooled{std::move(by_seed)};
  }

  /// The models of an arm once more, each agent's memory being emptied after every episode.
  Pooled forgetting(const Arm& arm) {
    std::vector<LearningCurves> by_seed;
    for (int number = 0; number < seed_count_; ++number) {
      const std::uint64_t seed = options_.seed + static_cast<std::uint64_t>(number);
      const CausalTransformer<float> model = model_of(arm, seed);
      const auto make_learner = [&](int, const DarkRoom&) { return ForgetfulAgent{model, arm.recipe.decoding}; };
      by_seed.push_back(evaluate_learner(make_learner, rooms_, split_of(seed).held_out, evaluation(seed)));
    }
    return Pooled{std::move(by_seed)};
  }

private:
  [[nodiscard]] TaskSplit split_of(std::uint64_t seed) const {
    return split_tasks(rooms_.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = seed});
  }
  [[nodiscard]] CausalTransformer<float> model_of(const Arm& arm, std::uint64_t seed) const {
    return load_model<float>(options_.out / fmt::format("{}_{}.safetensors", arm.name, seed));
  }
  [[nodiscard]] example::Recipe recipe_of(const Arm& arm) const {
    return options_.quick ? shortened(arm.recipe) : arm.recipe;
  }
  [[nodiscard]] int runs() const { return options_.quick ? 1 : 16; }
  [[nodiscard]] EvaluationConfig evaluation(std::uint64_t seed) const {
    return {.runs = runs(), .episodes = 100, .seed = seed, .thread_count = options_.threads};
  }

  Json produce(const Arm& arm, std::uint64_t seed, const std::string& name) {
    const example::Recipe recipe = recipe_of(arm);
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
    once.seed += 1000;  // with the recordings' seed an agent would draw, in rooms it trained in, what its source drew
    const LearningCurves first = evaluate(model, rooms_, everywhere, once, recipe.decoding);
    fmt::print("{}: {:.1f} M tokens in {:.0f} s, {:.0f} tokens/s\n", name, static_cast<double>(trained.tokens) / 1e6,
               trained.train_seconds, trained.tokens_per_second);
    std::fflush(stdout);
    return {{"facts",
             {{"arm", arm.name},
              {"recipe", describe(recipe)},
              {"runs", runs()},
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

/// What the documentation says was learned, held against the numbers of a whole run.
class Claims {
public:
  explicit Claims(const Json& arms) {
    const auto find = [&](const std::string& name) {
      std::vector<const Json*> found;
      for (const Json& arm : arms)
        if (arm.at("arm") == name) found.push_back(&arm);
      return found;
    };
    const auto value = [](const Json& arm, const char* episodes) {
      return arm.at("shares").at(episodes).at("mean_of_seeds").get<double>();
    };
    const auto least = [](const Json& arm, const char* episodes) {
      return std::ranges::min(arm.at("shares").at(episodes).at("by_seed").get<std::vector<double>>());
    };
    const auto goals = [](const Json& arm) { return 80 - static_cast<double>(arm.at("unlearned_tasks").size()); };
    for (const Json* arm : find("systematic_explorer")) {
      at_least("systematic_explorer, episodes 9-10", value(*arm, "9-10"), 0.94);
      at_least("systematic_explorer, episodes 41-50", value(*arm, "41-50"), 0.98);
      at_least("systematic_explorer, episodes 41-50, worst seed", least(*arm, "41-50"), 0.92);
      at_least("systematic_explorer, goals learned", goals(*arm), 78);
    }
    for (const Json* arm : find("q_learning")) {
      at_least("q_learning, episodes 41-50", value(*arm, "41-50"), 0.94);
      at_least("q_learning, episodes 91-100", value(*arm, "91-100"), 0.98);
      at_least("q_learning, episodes 41-50, worst seed", least(*arm, "41-50"), 0.90);
      at_least("q_learning, episodes 91-100, worst seed", least(*arm, "91-100"), 0.95);
      at_least("q_learning, goals learned", goals(*arm), 78);
    }
    for (const char* name : {"systematic_explorer", "q_learning"}) {
      for (const Json* arm : find(name)) {
        at_most(fmt::format("{}, episode 1 of all goals, lower end", name),
                arm->at("first_episode_of_all_goals").at("interval").at(0).get<double>(), 210.0 / 81);
        for (const Json* expert : find("expert_distillation"))
          for (const char* episodes : {"1-10", "41-50"})
            at_most(fmt::format("expert_distillation, T = {}, episodes {}, upper end, against {}",
                                expert->at("temperature").get<double>(), episodes, name),
                    expert->at("shares").at(episodes).at("interval").at(1).get<double>(),
                    arm->at("shares").at(episodes).at("interval").at(0).get<double>());
      }
      for (const Json* arm : find(std::string{name} + ", forgetting"))
        at_most(fmt::format("{}, forgetting, gain from episodes 1-10 to 41-50", name),
                arm->at("improvement").at("value").get<double>(), 0.05);
    }
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const Json& to_json() const { return json_; }

  /// Throws Error unless all are met.
  void expect_all() const {
    if (!broken_.empty()) fail("not met: {}", broken_);
  }

private:
  void at_least(const std::string& what, double value, double bound) {
    add(what, value, "at least", bound, value >= bound);
  }
  void at_most(const std::string& what, double value, double bound) {
    add(what, value, "at most", bound, value <= bound);
  }

  void add(const std::string& what, double value, const char* relation, double bound, bool is_met) {
    text_ += fmt::format("- {}: {}: {:.3f}, {} {:.3f}\n", is_met ? "met" : "NOT MET", what, value, relation, bound);
    json_.push_back({{"claim", what}, {"value", value}, {"relation", relation}, {"bound", bound}, {"met", is_met}});
    if (!is_met) broken_ += (broken_.empty() ? "" : "; ") + what;
  }

  std::string text_, broken_;
  Json json_ = Json::array();
};

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Five seeds and the controls: is it learning in context?", "out/060_dark_room_evidence"};
  int seed_count = 5;
  std::vector<std::string> wanted;
  program.add("--seeds", seed_count, "seeds, from --seed on; each has its own held-out rooms", 1, 1000);
  program.add(
      "--arms", wanted,
      "only these, with commas between them: systematic_explorer, q_learning, expert_distillation, half_an_episode, "
      "shuffled_episodes");

  return program.run(argc, argv, [&](const example::Options& options) {
    if (options.quick) seed_count = 1;
    const DarkRooms rooms;
    Evidence evidence{options, seed_count};
    Plot plot{.title = fmt::format("Frozen models in rooms never seen: {} seeds of 16 rooms, 16 runs each", seed_count),
              .y_label = "return of an episode (mean, 95 % interval)"};
    Json arms = Json::array();
    std::string table =
        "| arm | T | 1 | 1-10 | 9-10 | 41-50 | 91-100 | 41-50 by seed | up to 5 steps away | 6 to 8 | goals learned | "
        "lives lost | 41-50 less 1-10 | finds | keeps |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    std::string first_episodes;
    int colour = 0;  // of the next arm
    const auto add = [&](const std::string& name, double temperature, const Pooled& pooled) {
      const ReferenceReturns references = reference_returns(rooms, pooled.curves.tasks());
      const auto unlearned = unlearned_tasks(pooled.curves, references, 41, 50);
      Json windows = Json::object();
      for (const auto& [first, last] : {std::pair{1, 1}, {1, 10}, {9, 10}, {41, 50}, {91, 100}})
        windows[fmt::format("{}-{}", first, last)] = shares(pooled, rooms, first, last);
      const Estimate gain = improvement(pooled, rooms);
      const Habits habits = habits_of(pooled.curves);
      const double near = share_at_distance(pooled, rooms, 1, 5), far = share_at_distance(pooled, rooms, 6, 8);
      const int lost = lost_lives(pooled, rooms);
      const auto cell = [&](const char* episodes) {
        const Json& share = windows.at(episodes);
        return fmt::format("{:.3f} [{:.3f}, {:.3f}]", share.at("mean_of_seeds").get<double>(),
                           share.at("interval").at(0).get<double>(), share.at("interval").at(1).get<double>());
      };
      std::string by_seed;
      for (const Json& value : windows.at("41-50").at("by_seed"))
        by_seed += fmt::format(" {:.3f}", value.get<double>());
      table += fmt::format(
          "| {} | {} | {} | {} | {} | {} | {} |{} | {:.3f} | {:.3f} | {} of {} | {} of {} | {:+.3f} [{:+.3f}, {:+.3f}] | "
          "{:.3f} | {:.3f} |\n",
          name, temperature, cell("1-1"), cell("1-10"), cell("9-10"), cell("41-50"), cell("91-100"), by_seed, near, far,
          pooled.curves.task_count() - static_cast<int>(unlearned.size()), pooled.curves.task_count(), lost,
          pooled.curves.task_count() * pooled.curves.run_count(), gain.value, gain.interval.low, gain.interval.high,
          habits.finds, habits.keeps);
      arms.push_back({{"arm", name},
                      {"temperature", temperature},
                      {"shares", windows},
                      {"improvement", to_json(gain)},
                      {"share_up_to_5_steps_away", near},
                      {"share_6_to_8_steps_away", far},
                      {"lost_lives", lost},
                      {"finds", habits.finds},
                      {"keeps", habits.keeps},
                      {"unlearned_tasks", unlearned},
                      {"return_by_episode", pooled.curves.mean_by_episode()}});
      plot.series.push_back(
          plot_series(fmt::format("{}, T = {}", name, temperature), pooled.curves, pooled.bootstrap(500)));
      plot.series.back().colour = colour++;
      if (plot.levels.empty()) plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    };
    for (const std::string& name : wanted)
      if (std::ranges::none_of(all_arms(), [&](const Arm& arm) { return arm.name == name; }))
        fail("--arms: there is no arm {}", name);
    for (const Arm& arm : all_arms()) {
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), arm.name) == wanted.end()) continue;
      const int own_colour = colour;
      std::vector<Outcome> outcomes;
      for (int number = 0; number < seed_count; ++number) outcomes.push_back(evidence.outcome(arm, number));
      for (std::size_t t = 0; t < arm.temperatures.size(); ++t) {
        std::vector<LearningCurves> by_seed;
        for (const Outcome& outcome : outcomes) by_seed.push_back(outcome.curves[t]);
        add(arm.name, arm.temperatures[t], Pooled{std::move(by_seed)});
      }
      std::vector<double> by_seed;  // each over all goals there are: only the seeds are a sample
      Json facts = Json::array();
      for (const Outcome& outcome : outcomes) {
        facts.push_back(outcome.facts);
        by_seed.push_back(mean(outcome.facts.at("first_episode_of_all_goals").get<std::vector<double>>()));
      }
      const Estimate first = estimate_mean(by_seed);
      arms.back()["first_episode_of_all_goals"] = to_json(first);
      arms.back()["first_episode_of_all_goals"]["by_seed"] = by_seed;
      arms.back()["runs"] = facts;
      first_episodes += fmt::format("- {}: {:.3f} [{:.3f}, {:.3f}], by seed {:.3f}\n", arm.name, first.value,
                                    first.interval.low, first.interval.high, fmt::join(by_seed, " "));
      if (arm.name == "half_an_episode")
        add(arm.name + ", 5 contexts", arm.temperatures[0], evidence.with_contexts(arm, 5));
      if (arm.can_forget) {
        const int next_colour = std::exchange(colour, own_colour);
        add(arm.name + ", forgetting", arm.temperatures[0], evidence.forgetting(arm));
        plot.series.back().stroke = PlotStroke::dotted;
        colour = next_colour;
      }
    }
    for (const example::Recipe& recipe : {example::systematic_explorer_recipe(), example::q_learning_recipe()}) {
      std::vector<int> everywhere(static_cast<std::size_t>(rooms.task_count()));
      std::iota(everywhere.begin(), everywhere.end(), 0);
      const auto curves = live_source(
          recipe, rooms, everywhere,
          {.runs = options.quick ? 1 : 4, .episodes = 100, .seed = options.seed, .thread_count = options.threads});
      plot.series.push_back({.name = std::string{name_of(recipe.source)} + " itself, learning, all rooms",
                             .y = curves.mean_by_episode(),
                             .stroke = PlotStroke::dashed,
                             .colour = recipe.source == example::Source::q_learning ? 1 : 0});  // as their pupils
    }
    const Claims claims{arms};
    example::write_text(options.out / "evidence.svg", to_svg(plot));
    example::write_text(options.out / "evidence.csv", to_csv(plot));
    example::write_text(
        options.out / "evidence.md",
        "Shares of the oracle's return on the same held-out goals, by episode: mean of the seeds, and 95 % interval over "
        "seeds and the goals of each.\nThe two columns of distances: episodes 41-50, goals so many steps from the "
        "start. *Goals learned*: mean over 41-50 above half the oracle's; *lives lost*: single runs of which this is not "
        "so.\n*Finds*: probability that an episode is rewarded when none was before; *keeps*: when the one before "
        "was.\n\n" +
            table +
            "\nReturn of episode 1, mean over all 81 goals and 95 % interval over seeds (no agent can expect more than "
            "210 / 81 = 2.593):\n\n" +
            first_episodes + "\n" + claims.text());
    example::write_json_summary(
        options.out,
        {{"seeds", seed_count}, {"first_seed", options.seed}, {"arms", arms}, {"claims", claims.to_json()}});
    fmt::print("\n{}\n{}\n{}", table, first_episodes, claims.text());
    if (wanted.empty() && !options.quick) claims.expect_all();
  });
}
