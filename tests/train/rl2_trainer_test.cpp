// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/rl2_trainer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/mixture_transformer.hpp>
#include <icrl/model/recurrent_value_model.hpp>
#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The model that learns to learn.
using MetaModel = RecurrentValueModel<float>;

template <TaskFamily F>
MetaModel fresh_model(const F& family, int width = 8, bool closing_token = false) {
  const auto env = family.make(0);
  MetaModel model{{.width = width, .layer_count = 1, .state_size = width, .hidden = width, .longest_memory = 20},
                  {env.observation_space(), env.action_space(), closing_token}};
  Rng rng{1};
  model.initialize(rng);
  return model;
}

/// Quick to learn from.
Rl2Config quick_rl2(int updates) {
  Rl2Config config{.updates = updates,
                   .trials = 32,
                   .episodes = 12,
                   .epochs = 4,
                   .minibatches = 2,
                   .warmup = std::min(5, updates),
                   .thread_count = 1,
                   .seed = 1};
  config.optimizer.learning_rate = 1e-2;
  return config;
}

std::vector<int> task_numbers(int first, int count) {
  std::vector<int> tasks(static_cast<std::size_t>(count));
  std::iota(tasks.begin(), tasks.end(), first);
  return tasks;
}

/// The mean return of episodes first .. last, from 1.
double mean_return(const LearningCurves& curves, int first, int last) {
  const std::vector<double> means = curves.mean_by_episode();
  return std::accumulate(means.begin() + first - 1, means.begin() + last, 0.0) / (last - first + 1);
}

/// An agent that forgets everything at the end of each episode: a control.
class ForgetfulAgent {
public:
  explicit ForgetfulAgent(const MetaModel& model) : agent_{model} {}
  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    if (agent_.at_episode_start()) agent_.reset();
    agent_.act(observation, action, rng);
  }
  void learn(const Transition& transition) { agent_.learn(transition); }

private:
  InContextAgent<MetaModel> agent_;
};

template <TaskFamily F>
MetaModel trained_by(const F& family, const std::vector<int>& tasks, Rl2Config config, int thread_count = 1) {
  MetaModel model = fresh_model(family);
  config.thread_count = thread_count;
  Rl2Trainer trainer{model, family, tasks, config};
  for (int update = 0; update < config.updates; ++update) (void)trainer.step();
  return model;
}

}  // namespace

TEST_CASE("RL2 learns to learn on bandits that it has never seen, and not without its memory", "[train]") {
  const BernoulliBandits bandits{{.arms = 2}};
  MetaModel model = fresh_model(bandits);
  Rl2Config config = quick_rl2(80);
  config.discount = 0.9;
  config.return_scale = 0.3;
  Rl2Trainer trainer{model, bandits, task_numbers(0, 1000), config};
  Rl2Metrics metrics;
  for (int update = 0; update < config.updates; ++update) metrics = trainer.step();
  CHECK(metrics.update == 80);
  CHECK(trainer.trials().size() == 32);
  CHECK(std::ranges::all_of(trainer.trials(), [](const Trial& trial) { return trial.history.info().task < 1000; }));
  CHECK(metrics.steps == 80 * 32 * 12);
  CHECK(metrics.entropy < 0.6);
  CHECK(metrics.approximate_kl > 0);
  CHECK(metrics.approximate_kl < 0.1);

  const TemporaryFolder folder;
  save_model(model, folder / "model.safetensors");
  const auto frozen = load_model<MetaModel>(folder / "model.safetensors");
  const std::vector<int> unseen = task_numbers(1000, 256);
  const EvaluationConfig acting{.runs = 8, .episodes = 12, .thread_count = 1};
  const LearningCurves agent = evaluate(frozen, bandits, unseen, acting),
                       forgetful = evaluate_learner([&](int, const auto&) { return ForgetfulAgent{frozen}; }, bandits,
                                                    unseen, acting);

  CHECK(mean_return(agent, 9, 12) > mean_return(agent, 1, 1) + 0.08);
  CHECK(mean_return(agent, 9, 12) > mean_return(forgetful, 9, 12) + 0.08);
  CHECK(std::abs(mean_return(forgetful, 9, 12) - mean_return(forgetful, 1, 1)) < 0.03);
}

TEST_CASE("RL2 explores a Dark Room in early episodes and goes to its goal in later ones", "[train][slow]") {
  const DarkRooms rooms{{.side = 3, .horizon = 6}};
  std::vector<int> goals = task_numbers(0, 9);
  std::erase(goals, 4);  // where episodes begin
  MetaModel model = fresh_model(rooms, 12);
  Rl2Config config = quick_rl2(120);
  config.episodes = 6;
  Rl2Trainer trainer{model, rooms, goals, config};
  for (int update = 0; update < config.updates; ++update) (void)trainer.step();

  const EvaluationConfig acting{.runs = 32, .episodes = 6, .thread_count = 1};
  const LearningCurves agent = evaluate(model, rooms, goals, acting),
                       forgetful = evaluate_learner([&](int, const auto&) { return ForgetfulAgent{model}; }, rooms,
                                                    goals, acting);
  CHECK(mean_return(agent, 5, 6) > mean_return(agent, 1, 1) + 1);
  CHECK(std::abs(mean_return(forgetful, 5, 6) - mean_return(forgetful, 1, 1)) < 0.3);
}

TEST_CASE("RL2 gives the same bits with any number of threads", "[train]") {
  const BernoulliBandits bandits{{.arms = 3}};
  Rl2Config config = quick_rl2(3);
  config.trials = 7;
  const auto tasks = task_numbers(0, 50);
  const MetaModel one = trained_by(bandits, tasks, config), three = trained_by(bandits, tasks, config, 3);
  CHECK(have_equal_bits(one, three));
  CHECK(!have_equal_bits(one, fresh_model(bandits)));

  config.seed = 2;
  CHECK(!have_equal_bits(one, trained_by(bandits, tasks, config)));
  config = quick_rl2(3);
  config.trials = 7;
  config.gradient_slots = 16;  // more than trials: the same sums, perhaps in another order
  const MetaModel many = trained_by(bandits, tasks, config);
  const auto a = weights_of(one), b = weights_of(many);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] - b[i]) < 1e-3F);
}

TEST_CASE("A run of RL2 resumes bit for bit, and only itself", "[train]") {
  const DarkRooms rooms{{.side = 3, .horizon = 4}};
  const auto tasks = task_numbers(0, 5);
  const Rl2Config config = quick_rl2(6);
  const MetaModel whole = trained_by(rooms, tasks, config);
  const TemporaryFolder folder;
  MetaModel model = fresh_model(rooms);
  {
    Rl2Trainer trainer{model, rooms, tasks, config};
    for (int update = 0; update < 4; ++update) (void)trainer.step();
    trainer.save(folder / "checkpoint");
  }
  MetaModel resumed = fresh_model(rooms);
  Rl2Trainer trainer{resumed, rooms, tasks, config};
  trainer.restore(folder / "checkpoint");
  CHECK(have_equal_bits(resumed, model));
  CHECK(trainer.progress().update == 4);
  CHECK(trainer.progress().tokens == std::int64_t{4} * 32 * 12 * 4);
  for (int update = 4; update < 6; ++update) (void)trainer.step();
  CHECK(have_equal_bits(resumed, whole));

  Rl2Config other = config;
  other.clip = 0.3;
  Rl2Trainer other_config{model, rooms, tasks, other};
  CHECK(has(error_of([&] { other_config.restore(folder / "checkpoint"); }), "clip 0.2"));
  Rl2Trainer other_tasks{model, rooms, task_numbers(1, 5), config};
  CHECK(has(error_of([&] { other_tasks.restore(folder / "checkpoint"); }), "tasks"));
}

TEST_CASE("RL2 trains with masks, numbers as actions, closing tokens, and a transformer", "[train]") {
  Rl2Config config = quick_rl2(15);
  config.episodes = 2;
  const auto improves = [&](auto&& model, const auto& family) {
    Rl2Trainer trainer{model, family, task_numbers(0, family.task_count()), config};
    const double first = trainer.step().last_return;
    double last = 0;
    for (int update = 1; update < config.updates; ++update) last = trainer.step().last_return;
    CHECK(last > first);
  };
  improves(fresh_model(CopiesOf<Slider>{}), CopiesOf<Slider>{});
  improves(fresh_model(CopiesOf<Corridor>{}, 8, /*closing_token*/ true), CopiesOf<Corridor>{});

  CausalTransformer<float, ValueParts<float>> transformer{
      {.width = 8, .layer_count = 1, .head_count = 2, .context = 20}, fresh_model(CopiesOf<Corridor>{}).layout};
  Rng rng{1};
  transformer.initialize(rng);
  improves(std::move(transformer), CopiesOf<Corridor>{});

  MetaModel masked = fresh_model(CopiesOf<TurnTaking>{});
  const CopiesOf<TurnTaking> turns;
  Rl2Trainer trainer{masked, turns, task_numbers(0, 4), config};
  CHECK(error_of([&] { (void)trainer.step(); }).empty());
  CHECK(trainer.step().last_return == 6);  // a forbidden action would cost 100
}

TEST_CASE("RL2 refuses what cannot be trained, and says what is wrong", "[train]") {
  const BernoulliBandits bandits{{.arms = 2, .task_count = 10}};
  MetaModel model = fresh_model(bandits);
  const auto error = [&](auto& trained, const std::vector<int>& tasks, const Rl2Config& config = quick_rl2(2)) {
    return error_of([&] { Rl2Trainer trainer{trained, bandits, tasks, config}; });
  };

  CHECK(error(model, {1, 2}).empty());
  CHECK(error(model, {}) == "RL2: there is no task to train on");
  CHECK(error(model, {10}) == "RL2: task 10 is not one of the family's 10 tasks");
  Rl2Config config = quick_rl2(2);
  config.discount = std::nan("");
  CHECK(error(model, {1}, config) == "RL2: discount is nan, it must lie in 0 .. 1");
  config = quick_rl2(2);
  config.optimizer.learning_rate = 1e300;
  CHECK(has(error(model, {1}, config), "RL2: learning_rate is 1e+300, for this model it must lie in "));
  config = quick_rl2(2);
  config.optimizer.weight_decay = 1e6;
  CHECK(has(error(model, {1}, config), "RL2: weight_decay is "));
  RecurrentModel<float> plain{model.config, model.layout};
  CHECK(error(plain, {1}) ==
        "RL2: the model has 2 outputs, all for actions; it needs one for the value (use a RecurrentValueModel)");
  MetaModel zero{model.config, model.layout};
  CHECK(error(zero, {1}) == "RL2: all matrices of the model are zero, so it cannot learn (call initialize() first)");
  MetaModel other = fresh_model(BernoulliBandits{{.arms = 3}});
  CHECK(has(error(other, {1}), "RL2: the tasks' step layout differs from the model's: action spaces"));
  StepLayout with_extra = model.layout;
  with_extra.extra_features = {{"time", 1}};
  MetaModel extra{model.config, with_extra};
  CHECK(has(error(extra, {1}), "RL2: the model has the extra features"));
  using Mixture = CausalTransformer<float, ValueParts<float, MixtureParts<float>>>;
  MixtureTransformerConfig shape{};
  shape.width = 8;
  shape.layer_count = 1;
  shape.head_count = 2;
  shape.context = 40;
  shape.capacity_factor = 1.5;
  Mixture limited{shape, model.layout};
  CHECK(has(error(limited, {1}), "RL2: capacity_factor is 1.5, it must be 0"));
}

TEST_CASE("RL2 does no more updates than it was made for", "[train]") {
  const BernoulliBandits bandits{{.arms = 2, .task_count = 10}};
  MetaModel model = fresh_model(bandits);
  Rl2Trainer trainer{model, bandits, task_numbers(0, 10), quick_rl2(1)};
  (void)trainer.step();
  const MetaModel before = model;
  CHECK(error_of([&] { (void)trainer.step(); }) == "RL2: all 1 updates of this run are done");
  CHECK(have_equal_bits(model, before));
}

TEST_CASE("RL2 stops at a loss that is not finite, and at rewards that are not", "[train]") {
  const BernoulliBandits bandits{{.arms = 2, .task_count = 10}};
  MetaModel model = fresh_model(bandits);
  Rl2Config config = quick_rl2(2);
  config.return_scale = 1e300;
  Rl2Trainer huge{model, bandits, task_numbers(0, 10), config};
  CHECK(has(error_of([&] { (void)huge.step(); }), "RL2: update 1 of 2: loss "));
  CHECK(have_equal_bits(model, fresh_model(bandits)));

  struct Broken : Corridor {
    StepResult step(int, Rng&) { return {std::nanf("")}; }
  };
  const CopiesOf<Broken> broken;
  MetaModel victim = fresh_model(broken);
  Rl2Trainer trainer{victim, broken, task_numbers(0, 4), quick_rl2(2)};
  CHECK(has(error_of([&] { (void)trainer.step(); }), "nan"));
  CHECK(have_equal_bits(victim, fresh_model(broken)));
}
