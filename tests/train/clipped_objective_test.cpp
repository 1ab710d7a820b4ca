// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/clipped_objective.hpp>

#include <cmath>
#include <vector>

#include <icrl/model/recurrent_value_model.hpp>

#include "support/catch.hpp"
#include "support/gradient.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Doubles = RecurrentValueModel<double>;
static_assert(Objective<ClippedObjective, Doubles>);

/// A random model and a trial of it whose advantages, returns and old probabilities are made up: half of the ratios lie
/// well outside the range in which they gain.
template <typename E>
struct MadeUpTrial {
  explicit MadeUpTrial(bool closing_token)
      : model{{.width = 4, .layer_count = 2, .state_size = 3, .hidden = 5, .longest_memory = 10},
              {E{}.observation_space(), E{}.action_space(), closing_token}} {
    Rng rng{3};
    randomise(model, rng);
    const int only[] = {0};
    trial.push_back(std::move(run_trials(model, CopiesOf<E>{}, only, 2, std::span{&rng, 1}).front()));
    Trial& made = trial.front();
    WindowScratch<Doubles, ClippedObjective> scratch;
    Matrix<double> outputs(made.row_count(), model.output_count());
    model.forward(made.window.features_of(0), made.row_count(), scratch.cache, outputs);
    value_trial<Doubles>(model, outputs, 0.9, 0.9, 1, made);
    for (std::size_t t = 0; t < made.negative_log_probabilities.size(); ++t) {
      made.advantages[t] = rng.normal();
      made.returns[t] = rng.normal();
      made.negative_log_probabilities[t] += (t % 4 < 2 ? 0.5 : 0.05) * (t % 2 == 0 ? 1 : -1);
    }
  }

  Doubles model;
  std::vector<Trial> trial;
};

template <typename E>
void check_clipped_gradient(bool closing_token) {
  MadeUpTrial<E> made{closing_token};
  const Trial& trial = made.trial.front();
  const ClippedObjective objective{.clip = 0.2, .entropy_weight = 0.3, .value_weight = 0.7, .trial = &trial};
  WindowScratch<Doubles, ClippedObjective> scratch;
  Doubles grad = made.model;
  set_zero(grad);
  Doubles unused = grad;
  (void)window_loss(made.model, objective, trial.window, 0, scratch, grad);
  const ClippedTotals totals = scratch.objective.totals;

  const auto [error, name] = worst_parameter_error(
      made.model, grad, [&] { return window_loss(made.model, objective, trial.window, 0, scratch, unused); });

  INFO("worst tensor: " << name);
  CHECK(error < 1e-6);
  CHECK(totals.steps == static_cast<double>(trial.history.step_count()));
  CHECK(totals.clipped > 0);
  CHECK(totals.clipped < totals.steps);
}

}  // namespace

TEST_CASE("The gradient of PPO's objective through a trial matches finite differences", "[train][gradient]") {
  check_clipped_gradient<Corridor>(false);
  check_clipped_gradient<Corridor>(true);
  check_clipped_gradient<TurnTaking>(false);  // with masks
  check_clipped_gradient<TurnTaking>(true);
  check_clipped_gradient<Slider>(false);  // a Gaussian
}

TEST_CASE("Forbidden actions have no part in the objective", "[train]") {
  const MadeUpTrial<TurnTaking> made{true};
  const Trial& trial = made.trial.front();
  const ClippedObjective objective{.clip = 10, .entropy_weight = 0.3, .trial = &trial};
  ClippedObjective::Scratch scratch;
  const Matrix<double> outputs = Matrix<double>::Zero(trial.row_count(), 5);
  Matrix<double> doutputs = outputs;
  (void)objective.loss(made.model, trial.window, 0, outputs, doutputs, scratch);

  CHECK(scratch.totals.entropy / scratch.totals.steps == Approx(std::log(2.0)));
  for (Index t = 0; t < outputs.rows(); ++t) {
    for (Index a = 0; a < 4; ++a) {
      const bool is_allowed = trial.masks[static_cast<std::size_t>(4 * t + a)] != 0;
      CHECK((doutputs(t, a) != 0) == is_allowed);
    }
  }
}

TEST_CASE("PPO's objective of one step by hand", "[train]") {
  MadeUpTrial<Corridor> made{false};
  Trial& trial = made.trial.front();
  const auto rows = static_cast<Index>(trial.row_count());
  Matrix<double> outputs = Matrix<double>::Zero(rows, 3), doutputs = Matrix<double>::Constant(rows, 3, 9);
  outputs.col(2).setConstant(2);
  std::ranges::fill(trial.advantages, 0.0);
  std::ranges::fill(trial.returns, 2.0);
  std::ranges::fill(trial.negative_log_probabilities, std::log(2.0));
  trial.returns[0] = 5;
  const ClippedObjective objective{.clip = 0.2, .entropy_weight = 0, .value_weight = 0.5, .trial = &trial};
  ClippedObjective::Scratch scratch;
  const auto loss = [&](double advantage, double ratio) {
    trial.advantages[0] = advantage;
    trial.negative_log_probabilities[0] = std::log(2.0) + std::log(ratio);  // now 1/2, before it was 1/2 / ratio
    scratch.totals = {};
    return objective.loss(made.model, trial.window, 0, outputs, doutputs, scratch) - 0.5 * 9.0 / 2;
  };
  const auto taken = static_cast<Index>(detail::action_of(trial, 0)[0]);

  CHECK(loss(3, 1.1) == Approx(-3 * 1.1));
  CHECK(doutputs(0, taken) == Approx(-3 * 1.1 / 2));
  CHECK(doutputs(0, 1 - taken) == Approx(3 * 1.1 / 2));
  CHECK(doutputs(0, 2) == Approx(0.5 * -3));
  CHECK(doutputs.bottomRows(rows - 1).isZero(1e-12));
  CHECK(scratch.totals.clipped == 0);
  CHECK(scratch.totals.approximate_kl == Approx(1.1 - 1 - std::log(1.1)));
  CHECK(loss(3, 1.5) == Approx(-3 * 1.2));
  CHECK(doutputs(0, taken) == 0);
  CHECK(scratch.totals.clipped == 1);
  CHECK(loss(-3, 1.5) == Approx(3 * 1.5));
  CHECK(doutputs(0, taken) == Approx(3 * 1.5 / 2));
  CHECK(loss(-3, 0.5) == Approx(3 * 0.8));
  CHECK(doutputs(0, taken) == 0);
}
