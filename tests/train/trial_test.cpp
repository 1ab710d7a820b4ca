// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/trial.hpp>

#include <cmath>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/model/recurrent_value_model.hpp>
#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename E>
RecurrentValueModel<float> acting_model(const E& env, bool closing_token = false) {
  RecurrentValueModel<float> model{{.width = 4, .layer_count = 1, .state_size = 4, .hidden = 4},
                                   {env.observation_space(), env.action_space(), closing_token}};
  Rng rng{1};
  model.initialize(rng);
  return model;
}

std::vector<Rng> some_rngs(int count) {
  std::vector<Rng> rngs;
  for (int i = 0; i < count; ++i) rngs.push_back(Rng{7}.fork(static_cast<std::uint64_t>(i)));
  return rngs;
}

const int all_three[] = {0, 1, 2};

}  // namespace

TEST_CASE("A trial has the rows of all its episodes, as an agent reads them", "[train]") {
  const CopiesOf<Corridor> family;
  for (const bool closing_token : {false, true}) {
    const auto model = acting_model(family.env, closing_token);
    const auto trials = run_trials(model, family, all_three, 4, some_rngs(3));
    REQUIRE(trials.size() == 3);
    for (const Trial& trial : trials) {
      REQUIRE(trial.history.episode_count() == 4);
      const std::int64_t steps = trial.history.step_count();
      CHECK(trial.row_count() == steps + (closing_token ? 4 : 0));
      StepStream stream{model.layout};
      const auto width = static_cast<std::size_t>(model.layout.feature_count());
      std::vector<float> row(width), observation(1), action(1);
      std::size_t t = 0;
      for (int e = 0; e < 4; ++e) {
        const EpisodeView episode = trial.history.episode(e);
        for (int s = 0; s < episode.length(); ++s, ++t) {
          episode.observation(s, observation);
          stream.observe(observation, row);
          CHECK(std::ranges::equal(row, trial.window.features_of(0).subspan(t * width, width)));
          CHECK(trial.has_action(static_cast<int>(t)));
          episode.action(s, action);
          CHECK(detail::action_of(trial, static_cast<Index>(t))[0] == action[0]);
          stream.record(action, episode.reward(s), s + 1 == episode.length());
        }
        if (!closing_token) continue;
        episode.observation(episode.length(), observation);
        stream.close(observation, row);
        CHECK(std::ranges::equal(row, trial.window.features_of(0).subspan(t * width, width)));
        CHECK(!trial.has_action(static_cast<int>(t)));
        ++t;
      }
    }
  }
}

TEST_CASE("A trial does not depend on the others, and its task is one of those given", "[train]") {
  const DarkRooms rooms{{.side = 3, .horizon = 5}};
  const auto model = acting_model(rooms.make(0));
  const auto rngs = some_rngs(6);
  const int tasks[] = {2, 5, 7};

  const auto together = run_trials(model, rooms, tasks, 2, rngs);

  std::vector<int> seen;
  for (std::size_t i = 0; i < 6; ++i) {
    const auto alone = run_trials(model, rooms, tasks, 2, std::span{rngs}.subspan(i, 1));
    CHECK(alone.front().window.features == together[i].window.features);
    CHECK(alone.front().history.info().task == together[i].history.info().task);
    seen.push_back(static_cast<int>(together[i].history.info().task));
    CHECK(std::ranges::count(tasks, seen.back()) == 1);
  }
  CHECK(std::ranges::count(seen, seen.front()) < 6);
  CHECK(run_trials(model, rooms, tasks, 2, {}).empty());
  CHECK(test::error_of([&] { (void)run_trials(model, rooms, {}, 2, rngs); }) ==
        "RL2: there is no task to run trials on");
}

TEST_CASE("The masks of a trial are those under which its actions were taken", "[train]") {
  const CopiesOf<TurnTaking> family;
  for (const bool closing_token : {false, true}) {
    const auto trials = run_trials(acting_model(family.env, closing_token), family, all_three, 2, some_rngs(1));
    const Trial& trial = trials.front();
    const int episode_rows = closing_token ? 7 : 6;
    REQUIRE(trial.masks.size() == static_cast<std::size_t>(2 * episode_rows * 4));
    for (int t = 0; t < trial.row_count(); ++t) {
      for (int a = 0; a < 4; ++a) {
        const int time = t % episode_rows;
        const bool is_allowed = time < 6 && a % 2 == time % 2;
        CHECK((trial.masks[static_cast<std::size_t>(4 * t + a)] != 0) == is_allowed);
      }
    }
  }
}

TEST_CASE("The probability of an action is one among those that were allowed", "[train]") {
  const CopiesOf<TurnTaking> family;
  const auto model = acting_model(family.env);
  auto trials = run_trials(model, family, all_three, 2, some_rngs(1));
  const Matrix<float> outputs = Matrix<float>::Zero(trials[0].row_count(), 5);

  value_trial<RecurrentValueModel<float>>(model, outputs, 0.9, 0.9, 1, trials[0]);

  for (const double loss : trials[0].negative_log_probabilities)
    CHECK(loss == Approx(std::log(2.0)));  // of four actions two
}

TEST_CASE("Rewards are discounted across the episodes of a trial, by hand", "[train]") {
  const CopiesOf<Corridor> family{{.cells = 2, .horizon = 1}};
  for (const bool closing_token : {false, true}) {
    const auto model = acting_model(family.env, closing_token);
    Trial trial = std::move(run_trials(model, family, all_three, 3, some_rngs(1)).front());
    const float* const rewards = trial.history.view().columns().rewards;
    const int rows = trial.row_count(), stride = closing_token ? 2 : 1;
    Matrix<float> outputs = Matrix<float>::Zero(rows, 3);
    for (int i = 0; i < 3; ++i) {
      outputs(i * stride, 0) = std::log(3.0f);  // action 0 has the probability 3/4
      outputs(i * stride, 2) = static_cast<float>(i + 1);
      if (closing_token) outputs(i * stride + 1, 2) = 99;  // nobody acts there
    }

    value_trial<RecurrentValueModel<float>>(model, outputs, /*discount*/ 0.5, /*lambda*/ 1, /*return_scale*/ 4, trial);

    double later = 0;
    for (int i = 2; i >= 0; --i) {
      later = 4 * static_cast<double>(rewards[i]) + 0.5 * later;
      const auto row = static_cast<std::size_t>(i * stride);
      CHECK(trial.returns[row] == Approx(later));
      CHECK(trial.advantages[row] == Approx(later - (i + 1)));
      const bool is_first = detail::action_of(trial, i * stride)[0] == 0;
      CHECK(trial.negative_log_probabilities[row] == Approx(-std::log(is_first ? 0.75 : 0.25)));
    }
    value_trial<RecurrentValueModel<float>>(model, outputs, 0.5, /*lambda*/ 0, 4, trial);
    for (int i = 0; i < 3; ++i)
      CHECK(trial.advantages[static_cast<std::size_t>(i * stride)] ==
            Approx(4 * static_cast<double>(rewards[i]) + (i == 2 ? 0 : 0.5 * (i + 2)) - (i + 1)));
  }
}

TEST_CASE("Normalized advantages have mean 0 and deviation 1 over the steps of all trials", "[train]") {
  const CopiesOf<Corridor> family;
  const auto model = acting_model(family.env, true);
  auto trials = run_trials(model, family, all_three, 2, some_rngs(2));
  double number = 1;
  for (Trial& trial : trials) {
    trial.advantages.clear();
    for (int t = 0; t < trial.row_count(); ++t) trial.advantages.push_back(trial.has_action(t) ? number *= -1.1 : 0);
  }

  normalize_advantages(trials);

  double sum = 0, squares = 0, count = 0;
  for (const Trial& trial : trials) {
    for (int t = 0; t < trial.row_count(); ++t) {
      const double advantage = trial.advantages[static_cast<std::size_t>(t)];
      if (!trial.has_action(t)) CHECK(advantage == 0);
      sum += advantage;
      squares += advantage * advantage;
      count += trial.has_action(t) ? 1 : 0;
    }
  }
  CHECK(std::abs(sum) < 1e-9);
  CHECK(squares / count == Approx(1));
  for (Trial& trial : trials) std::ranges::fill(trial.advantages, 3.0);
  normalize_advantages(trials);
  CHECK(trials[0].advantages[0] == 0);
}

TEST_CASE("A trial that is longer than the model's context, or leaves its spaces, is refused", "[train]") {
  const DarkRooms rooms{{.side = 3, .horizon = 5}};
  const DarkRoom room = rooms.make(0);
  CausalTransformer<float, ValueParts<float>> model{{.width = 4, .layer_count = 1, .head_count = 1, .context = 10},
                                                    {room.observation_space(), room.action_space()}};
  Rng rng{1};
  model.initialize(rng);
  const int only[] = {4};

  CHECK(run_trials(model, rooms, only, 2, some_rngs(2)).size() == 2);
  CHECK(error_of([&] { (void)run_trials(model, rooms, only, 3, some_rngs(1)); }) ==
        "RL2: a trial of task 4 has 15 rows, but the model's context is 10 (take fewer episodes per trial)");

  struct Broken : Corridor {
    StepResult step(int, Rng&) { return {std::nanf("")}; }
  };
  const CopiesOf<Broken> broken;
  CHECK(has(error_of([&] { (void)run_trials(acting_model(broken.env), broken, all_three, 1, some_rngs(1)); }), "nan"));
}
