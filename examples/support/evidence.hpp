// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>

#include "support/curves_json.hpp"
#include "support/dark_room_recipes.hpp"
#include "support/forgetful_agent.hpp"
#include "support/program.hpp"

// The arms of 060_dark_room_evidence, and how one arm of one seed comes to its numbers.
namespace example {

struct Arm {
  std::string name;
  Recipe recipe;
  std::vector<icrl::Decoding> decodings;  ///< the recipe's own first
  bool is_main = false;                   ///< claims are made of it, over all seeds; else it is a control
  bool can_forget = false;                ///< is shown with its memory emptied after every episode, too
};

/// What one arm of one seed came to.
struct Outcome {
  icrl::Json facts;
  std::vector<icrl::LearningCurves> curves;  ///< by decoding
};

/// Products that are claimed for: bfloat16 only where the build has the instruction, for elsewhere nobody would train
/// so.
[[nodiscard]] inline std::vector<icrl::Products> claimed_products() {
  if (icrl::has_bfloat16_products) return {icrl::Products::bfloat16, icrl::Products::full};
  return {icrl::Products::full};
}

[[nodiscard]] inline std::string_view name_of(icrl::Products products) {
  return products == icrl::Products::bfloat16 ? "bfloat16" : "float32";
}

/// The recipes of the demo with each kind of products, and the controls in float32, which every CPU can.
[[nodiscard]] inline std::vector<Arm> all_arms() {
  const Recipe q_learning = q_learning_recipe(), explorer = systematic_explorer_recipe();
  std::vector<Arm> arms;
  for (const icrl::Products products : claimed_products()) {
    for (Recipe recipe : {explorer, q_learning}) {
      recipe.distil.products = products;
      arms.push_back({.name = fmt::format("{}_{}", name_of(recipe.source), name_of(products)),
                      .recipe = recipe,
                      .decodings = {recipe.decoding},
                      .is_main = true,
                      .can_forget = products == icrl::Products::full});
    }
  }
  const auto add_control = [&](std::string name, Recipe recipe, std::vector<icrl::Decoding> decodings) {
    recipe.distil.products = icrl::Products::full;
    arms.push_back({.name = std::move(name), .recipe = recipe, .decodings = std::move(decodings)});
  };

  Recipe recipe = q_learning;
  recipe.source = Source::oracle;
  recipe.episodes = 14;
  recipe.windows.subsample = 1;
  recipe.windows.skip_fraction = 0;
  add_control("expert_distillation", recipe, {q_learning.decoding, explorer.decoding});

  recipe = explorer;
  recipe.source = Source::oracle;
  recipe.max_noise = 0;
  recipe.windows.use_expert_action = false;  // what the oracle does is what it intends
  add_control("expert_distillation_as_explorer", recipe, {explorer.decoding});

  recipe = q_learning;
  recipe.windows.context = 10;
  recipe.windows.start = icrl::WindowStart::anywhere;
  recipe.distil.batch = q_learning.distil.batch * q_learning.windows.context / recipe.windows.context;
  add_control("half_an_episode", recipe, {q_learning.decoding});
  arms.back().can_forget = true;

  recipe = q_learning;
  recipe.windows.shuffle_episodes = true;
  add_control("shuffled_episodes", recipe, {q_learning.decoding});

  recipe = q_learning;
  recipe.images = Images::all;
  add_control("q_learning_leaking", recipe, {q_learning.decoding});
  return arms;
}

/// What the processor calls itself, "unknown CPU" where the system does not say.
[[nodiscard]] inline std::string cpu_name() {
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  }
  return "unknown CPU";
}

/// Trains and evaluates what is not there yet. Each arm of each seed is kept in a file of its own.
class Evidence {
public:
  explicit Evidence(const Options& options) : options_{options} {}

  /// Trains and evaluates, or reads what an earlier run has left.
  [[nodiscard]] Outcome outcome(const Arm& arm, std::uint64_t seed) {
    const std::string name = fmt::format("{}_{}", arm.name, seed);
    const auto path = options_.out / (name + ".json");
    if (!std::filesystem::exists(path)) {
      write_text(path, icrl::to_text(produce(arm, seed, name), name));
      forget_checkpoint(options_.out, name);
    }
    std::ifstream file{path};
    const icrl::Json json = icrl::parse_json(std::string{std::istreambuf_iterator<char>{file}, {}}, path.string());
    if (!json.contains("facts") || !json.contains("curves")) icrl::fail("{}: is no outcome of an arm", path.string());
    const icrl::Json& facts = json.at("facts");
    if (facts.value("recipe", "") != describe(recipe_of(arm)) || facts.value("runs", 0) != runs()) {
      icrl::fail("{}: was left by another recipe or number of runs; remove it or choose another --out", path.string());
    }
    Outcome outcome{facts, {}};
    for (const icrl::Json& curves : json.at("curves"))
      outcome.curves.push_back(curves_from_json(curves, rooms_, path.string()));
    if (outcome.curves.size() != arm.decodings.size()) {
      icrl::fail("{}: holds curves of {} decodings, the arm has {}; remove it or choose another --out", path.string(),
                 outcome.curves.size(), arm.decodings.size());
    }
    return outcome;
  }

  /// The model of an arm once more, with another number of contexts open (see StaggeredContexts).
  [[nodiscard]] icrl::LearningCurves with_contexts(const Arm& arm, std::uint64_t seed, int context_count) {
    icrl::EvaluationConfig config = evaluation(seed);
    config.context_count = context_count;
    return evaluate(model_of(arm, seed), rooms_, split_of(seed).held_out, config, arm.recipe.decoding);
  }

  /// The model of an arm once more, each agent's memory being emptied after every episode.
  [[nodiscard]] icrl::LearningCurves forgetting(const Arm& arm, std::uint64_t seed) {
    const icrl::CausalTransformer<float> model = model_of(arm, seed);
    const auto make_learner = [&](int, const icrl::DarkRoom&) { return ForgetfulAgent{model, arm.recipe.decoding}; };
    return evaluate_learner(make_learner, rooms_, split_of(seed).held_out, evaluation(seed));
  }

  [[nodiscard]] const icrl::DarkRooms& rooms() const { return rooms_; }

private:
  [[nodiscard]] icrl::TaskSplit split_of(std::uint64_t seed) const {
    return icrl::split_tasks(rooms_.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = seed});
  }
  /// Throws Error unless the file still holds the weights that the arm's outcome was measured with.
  [[nodiscard]] icrl::CausalTransformer<float> model_of(const Arm& arm, std::uint64_t seed) {
    const auto path = options_.out / fmt::format("{}_{}.safetensors", arm.name, seed);
    icrl::CausalTransformer<float> model = icrl::load_model<float>(path);
    const auto measured = outcome(arm, seed).facts.at("weights_after").get<std::string>();
    if (const std::string found = fmt::format("{:08x}", weights_checksum(model)); found != measured)
      icrl::fail("{}: weights {}, the outcome beside it was measured with {}", path.string(), found, measured);
    return model;
  }
  [[nodiscard]] Recipe recipe_of(const Arm& arm) const {
    return options_.quick ? quick_recipe(arm.recipe) : arm.recipe;
  }
  [[nodiscard]] int runs() const { return options_.quick ? 1 : 16; }
  [[nodiscard]] icrl::EvaluationConfig evaluation(std::uint64_t seed) const {
    return {.runs = runs(), .episodes = 100, .seed = seed, .thread_count = options_.threads};
  }

  icrl::Json produce(const Arm& arm, std::uint64_t seed, const std::string& name) const {
    const Recipe recipe = recipe_of(arm);
    const icrl::TaskSplit split = split_of(seed);
    const icrl::CollectedHistories recorded = record(recipe, rooms_, split.train, seed, options_.threads);
    const std::set<std::int64_t> training(split.train.begin(), split.train.end());
    const auto elsewhere = std::ranges::count_if(recorded.histories, [&](const icrl::LearningHistory& history) {
      return !training.contains(history.info().task);
    });
    const auto [model, trained] =
        distil_recipe(recipe, recorded.histories, rooms_, split.validation, seed, options_.threads, options_.out, name);
    const std::uint32_t weights = weights_checksum(model);
    icrl::Json curves = icrl::Json::array();
    for (const icrl::Decoding& decoding : arm.decodings)
      curves.push_back(to_json(evaluate(model, rooms_, split.held_out, evaluation(seed), decoding)));
    return {{"facts",
             {{"arm", arm.name},
              {"recipe", describe(recipe)},
              {"runs", runs()},
              {"seed", seed},
              {"cpu", cpu_name()},
              {"histories", recorded.histories.size()},
              {"kept_images", recorded.image_counts.kept},
              {"dropped_images", recorded.image_counts.dropped},
              {"histories_of_other_tasks", elsewhere},
              {"tokens", trained.tokens},
              {"updates", trained.updates},
              {"best_update", trained.best_update},
              {"train_seconds", trained.train_seconds},
              {"tokens_per_second", trained.tokens_per_second},
              {"first_episode_of_all_goals", first_episodes(model, recipe, seed)},
              {"weights_before", fmt::format("{:08x}", weights)},
              {"weights_after", fmt::format("{:08x}", weights_checksum(model))}}},
            {"curves", curves}};
  }

  /// The mean return of episode 1 for each goal of the room.
  [[nodiscard]] std::vector<double> first_episodes(const icrl::CausalTransformer<float>& model, const Recipe& recipe,
                                                   std::uint64_t seed) const {
    icrl::EvaluationConfig once = evaluation(seed);
    once.episodes = 1;
    once.seed += 1000;  // with the recordings' seed an agent would draw, in rooms it trained in, what its source drew
    return evaluate(model, rooms_, all_tasks(rooms_), once, recipe.decoding).mean_by_task(1, 1);
  }

  icrl::DarkRooms rooms_;
  Options options_;
};

}  // namespace example
