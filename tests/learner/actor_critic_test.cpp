// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/actor_critic.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Five steps with all that a batch can have.
struct Fixture {
  explicit Fixture(const Space& action_space, std::vector<float> taken, std::vector<std::uint8_t> allowed = {})
      : actions{action_space},
        network{Mlp<double>{{3, 4, actions.parameter_count()}}, Mlp<double>{{3, 4, 1}}},
        x{random_matrix(5, 3, rng)},
        taken_actions{std::move(taken)},
        masks{std::move(allowed)} {
    randomise(network, rng);
  }

  [[nodiscard]] ActorCriticBatch<double> batch() const {
    return {.actions = taken_actions,
            .masks = masks,
            .advantages = advantages,
            .returns = returns,
            .entropy_weight = 0.3,
            .value_weight = 0.7};
  }
  ActorCriticLoss loss(ActorCritic<double>& grad) const {
    ActorCritic<double>::Cache cache;
    network.forward(x, cache);
    return network.backward(x, actions, batch(), cache, grad);
  }
  [[nodiscard]] double gradient_error() {
    ActorCritic<double> grad = network, ignored = network;
    set_zero(grad);
    (void)loss(grad);
    return worst_parameter_error(network, grad, [&] { return loss(ignored).total; }).first;
  }

  Rng rng{1};
  ActionDistribution actions;
  ActorCritic<double> network;
  Matrix<double> x;
  std::vector<float> taken_actions;
  std::vector<std::uint8_t> masks;
  std::vector<double> advantages{1, -2, 0.5, 0, 3}, returns{0.5, 2, -1, 0, 1};
};

}  // namespace

TEST_CASE("The gradient of an actor-critic's loss matches finite differences", "[learner][gradient]") {
  CHECK(Fixture{Discrete{3}, {0, 2, 1, 1, 0}}.gradient_error() < 1e-8);
  CHECK(Fixture{MultiDiscrete{{2, 3}}, {0, 2, 1, 1, 0, 0, 1, 0, 1, 2}}.gradient_error() < 1e-8);
  CHECK(Fixture{Box{{-2}, {2}}, {0.5f, 1, -1, 0.25f, 2}}.gradient_error() < 1e-8);
  CHECK(Fixture{Discrete{3}, {0, 2, 1, 1, 0}, {1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0}}.gradient_error() < 1e-8);
}

TEST_CASE("An actor-critic's loss is worked out by hand", "[learner]") {
  ActorCritic<double> network{Mlp<double>{{1, 2}}, Mlp<double>{{1, 1}}};  // all outputs are 0
  network.value.layers[0].bias << 3;
  const Matrix<double> x = Matrix<double>::Ones(2, 1);
  const std::vector<float> taken{0, 1};
  const std::vector<double> advantages{2, 4}, returns{5, 3};
  ActorCritic<double> grad = network;
  set_zero(grad);
  ActorCritic<double>::Cache cache;

  network.forward(x, cache);
  const ActorCriticLoss loss = network.backward(
      x, ActionDistribution{Discrete{2}},
      {.actions = taken, .advantages = advantages, .returns = returns, .entropy_weight = 0.1, .value_weight = 0.5},
      cache, grad);

  CHECK(loss.policy == Approx(3 * std::log(2.0)));
  CHECK(loss.entropy == Approx(std::log(2.0)));
  CHECK(loss.value == Approx(1));  // (4 + 0) / 2 / 2
  CHECK(loss.total == Approx(2.9 * std::log(2.0) + 0.5));
  // Against the action of the larger advantage: (2 (1/2 - 1) + 4 / 2) / 2.
  CHECK(grad.policy.layers[0].bias[0] == Approx(0.5));
  CHECK(grad.policy.layers[0].bias[1] == Approx(-0.5));
  CHECK(grad.value.layers[0].bias[0] == Approx(-0.5));  // (3 - 5) / 2 / 2
}

TEST_CASE("A forbidden action has no probability, no gradient, and no share in the entropy", "[learner]") {
  const Fixture fixture{Discrete{3}, {0, 0, 0, 0, 0}, {1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0}};
  ActorCritic<double> grad = fixture.network;
  set_zero(grad);

  const ActorCriticLoss loss = fixture.loss(grad);

  CHECK(grad.policy.layers[1].bias[2] == 0);
  CHECK(grad.policy.layers[1].bias[0] != 0);
  CHECK((loss.entropy > 0 && loss.entropy <= std::log(2.0)));
}
