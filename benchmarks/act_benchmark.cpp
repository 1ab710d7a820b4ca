// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Microseconds of one action of a frozen agent on one thread, over whole cycles of its streaming memory once that is in
// its steady state: choosing the action and taking note of what followed, the environment left out.
//
//   act_benchmark WIDTH LAYERS HEADS CONTEXT [--agents 1] [--apart] [--cycles 20]
//
// Several agents are served in one pass, or --apart, one after the other; the figure is then for all of them.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/model/causal_transformer.hpp>

#include "support/measurement.hpp"
#include "support/shape.hpp"

using namespace icrl;

namespace {

using Model = CausalTransformer<float>;

/// One Dark Room for each agent, whose episodes end all at once and fit evenly into half a context, so that every cycle
/// of the memory does the same work at the same phase.
class Rooms {
public:
  Rooms(int count, int context) {
    for (horizon_ = 20; horizon_ > 1 && context / 2 % horizon_ != 0;) --horizon_;
    const DarkRooms family{{.horizon = horizon_}};
    for (int i = 0; i < count; ++i) {
      rooms_.push_back(family.make(i % family.task_count()));
      members_.push_back(i);
      rngs_.emplace_back(0, static_cast<std::uint64_t>(i));
    }
    observations_.resize(2 * rooms_.size());
    next_.resize(2 * rooms_.size());
    actions_.resize(rooms_.size());
    observe(observations_);
  }

  /// Seconds that `agents` spent on one step of all rooms.
  template <typename Agents>
  double step(Agents& agents) {
    const double start = bench::now_seconds();
    agents.act(GroupObservations{members_, observations_, {}}, actions_, rngs_);
    const double acted = bench::now_seconds();
    const std::vector<float>& rewards = step_rooms();
    const bool ended = ++phase_ == horizon_;
    const double resumed = bench::now_seconds();
    for (std::size_t i = 0; i < rooms_.size(); ++i) {
      agents.learn(members_[i], {.observation = row(observations_, i),
                                 .action = {&actions_[i], 1},
                                 .reward = rewards[i],
                                 .next_observation = row(next_, i),
                                 .terminated = false,
                                 .truncated = ended});
    }
    const double end = bench::now_seconds();
    if (ended) reset_rooms();
    observations_ = next_;
    return acted - start + end - resumed;
  }

private:
  static std::span<const float> row(const std::vector<float>& values, std::size_t i) { return {&values[2 * i], 2}; }

  void observe(std::vector<float>& out) const {
    for (std::size_t i = 0; i < rooms_.size(); ++i) rooms_[i].observe(std::span<float>{&out[2 * i], 2});
  }
  const std::vector<float>& step_rooms() {
    rewards_.clear();
    for (std::size_t i = 0; i < rooms_.size(); ++i)
      rewards_.push_back(icrl::step(rooms_[i], std::span<const float>{&actions_[i], 1}, rngs_[i]).reward);
    observe(next_);
    return rewards_;
  }
  void reset_rooms() {
    phase_ = 0;
    for (std::size_t i = 0; i < rooms_.size(); ++i) rooms_[i].reset(rngs_[i]);
    observe(next_);
  }

  int horizon_ = 0, phase_ = 0;
  std::vector<DarkRoom> rooms_;
  std::vector<int> members_;
  std::vector<Rng> rngs_;
  std::vector<float> observations_, next_, actions_, rewards_;
};

/// Prints median and 99th percentile over all steps, and the fullest step: the phase of the cycle whose median is
/// largest.
template <typename Agents>
void measure(const std::string& name, Agents& agents, Rooms& rooms, int context, int cycles) {
  for (int i = 0; i < 2 * context; ++i) rooms.step(agents);
  std::vector<double> all;
  std::vector<std::vector<double>> by_phase(static_cast<std::size_t>(context));
  for (int cycle = 0; cycle < cycles; ++cycle) {
    for (auto& times : by_phase) {
      times.push_back(1e6 * rooms.step(agents));
      all.push_back(times.back());
    }
  }
  double fullest = 0;
  for (const auto& times : by_phase) fullest = std::max(fullest, bench::quantile(times, 0.5));
  bench::print({.name = name,
                .value = bench::quantile(all, 0.5),
                .unit = "us",
                .details = {{"p99", bench::quantile(all, 0.99)}, {"fullest", fullest}}});
}

}  // namespace

int main(int argc, char** argv) {
  bench::Shape shape;
  int count = 1, cycles = 20;
  bool apart = false;
  CLI::App app{"Measures the time of one action"};
  bench::add_options(app, shape);
  app.add_option("--agents", count)->check(CLI::PositiveNumber);
  app.add_flag("--apart", apart, "serve the agents one after the other");
  app.add_option("--cycles", cycles, "cycles of the streaming memory to measure")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  Rooms rooms{count, shape.context};
  const DarkRoom room = DarkRooms{}.make(0);
  Model model{shape.config(), StepLayout{room.observation_space(), room.action_space()}};
  Rng rng{0};
  model.initialise(rng);
  if (count > 1 && !apart) {
    InContextAgents<Model> agents{model, count};
    measure(fmt::format("act_{}_B{}", shape.text(), count), agents, rooms, shape.context, cycles);
    return 0;
  }
  std::vector<InContextAgent<Model>> each(static_cast<std::size_t>(count), InContextAgent<Model>{model});
  LearnerGroup<InContextAgent<Model>> agents{each};
  const std::string name =
      apart ? fmt::format("extra_act_apart_{}_B{}", shape.text(), count) : fmt::format("act_{}", shape.text());
  measure(name, agents, rooms, shape.context, cycles);
}
