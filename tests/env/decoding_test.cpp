// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/decoding.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A model that says the same to everything.
CausalTransformer<float> stubborn_model(const StepLayout& layout, const std::vector<float>& outputs) {
  CausalTransformer<float> model{small_config(4), layout};
  for (std::size_t i = 0; i < outputs.size(); ++i) model.head.bias[static_cast<Index>(i)] = outputs[i];
  return model;
}

/// The action that a new agent takes.
template <typename M>
std::vector<float> first_action(const M& model, double temperature, Rng& rng) {
  InContextAgent agent{model, Decoding{temperature}};
  const std::vector<float> observation(static_cast<std::size_t>(model.layout.observation_size()));
  std::vector<float> action(static_cast<std::size_t>(model.layout.action_size()));
  agent.act(observation, action, rng);
  return action;
}

}  // namespace

TEST_CASE("A greedy agent takes the likeliest action, the lowest id among equals, and draws nothing", "[env]") {
  Rng rng{1};
  const Rng::State before = rng.state();

  CHECK(first_action(stubborn_model(id_layout(), {-1, 0.5f, 0.25f}), 0, rng) == std::vector{1.0f});
  CHECK(first_action(stubborn_model(id_layout(), {0, 2, 2}), 0, rng) == std::vector{1.0f});
  CHECK(first_action(stubborn_model(box_layout(), {0.5f, -1, 3, 3}), 0, rng) == std::vector{0.5f, -1.0f});
  CHECK(first_action(stubborn_model(box_layout(), {7, -7, 0, 0}), 0, rng) == std::vector{2.0f, -2.0f});
  CHECK(rng.state() == before);
}

TEST_CASE("Actions are drawn as often as the softmax at their temperature says", "[env]") {
  const std::array logits{0.0f, 1.0f, 2.0f};
  const auto model = stubborn_model(id_layout(), {logits.begin(), logits.end()});
  for (const double temperature : {0.25, 1.0, 4.0}) {
    constexpr int draws = 4000;
    Rng rng{2};
    std::array<int, 3> found{};
    InContextAgent agent{model, Decoding{temperature}};
    std::array<float, 1> action{};
    for (int i = 0; i < draws; ++i) {
      agent.act(std::array{1.0f, 2.0f}, action, rng);
      agent.reset();
      ++found[static_cast<std::size_t>(action[0])];
    }

    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit) / temperature);
    for (std::size_t a = 0; a < 3; ++a) {
      const double expected = std::exp(static_cast<double>(logits[a]) / temperature) / total;
      INFO("temperature " << temperature << ", action " << a);
      CHECK(std::abs(found[a] / double{draws} - expected) < 4 * std::sqrt(expected * (1 - expected) / draws) + 1e-9);
    }
  }
}

TEST_CASE("A temperature scales the deviation of numbers", "[env]") {
  const auto model = stubborn_model(box_layout(), {0.25f, -0.5f, -3, -2});
  constexpr int draws = 2000;
  Rng rng{3};
  double squares[2] = {};
  for (int i = 0; i < draws; ++i) {
    const auto action = first_action(model, 0.5, rng);
    squares[0] += std::pow(static_cast<double>(action[0]) - 0.25, 2);
    squares[1] += std::pow(static_cast<double>(action[1]) + 0.5, 2);
  }

  CHECK(std::sqrt(squares[0] / draws) == Approx(0.5 * std::exp(-3.0)).epsilon(0.07));
  CHECK(std::sqrt(squares[1] / draws) == Approx(0.5 * std::exp(-2.0)).epsilon(0.07));
}

TEST_CASE("A temperature that is none is refused with its value", "[env]") {
  const auto model = small_model(small_config(4), id_layout());
  const auto refusal = [&](double temperature) {
    return error_of([&] { const InContextAgent agent{model, Decoding{temperature}}; });
  };

  CHECK(refusal(0).empty());
  CHECK(refusal(100).empty());
  CHECK(has(refusal(-0.5), "decoding: temperature is -0.5, it must be 0 (greedy) or more"));
  CHECK(has(refusal(std::numeric_limits<double>::quiet_NaN()), "temperature is nan"));
  CHECK(has(refusal(std::numeric_limits<double>::infinity()), "temperature is inf"));
}
