// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Microseconds of one action of a frozen agent on one thread, over whole cycles of its streaming memory once that is in
// its steady state: choosing the action and taking note of what followed, the environment left out.
//
//   act_benchmark WIDTH LAYERS HEADS CONTEXT [--agents 1] [--apart] [--cycles 40] [--int8]
//
// Several agents are served in one pass, or --apart, one after the other; the figure is then for all of them. With
// --int8 one agent of an integer model (W8A8 with an int8 cache) acts.
#include <algorithm>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/to_int8.hpp>

#include "support/floor.hpp"
#include "support/measurement.hpp"
#include "support/program.hpp"
#include "support/rooms.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;

namespace {

using bench::Model;

/// Numbers of the weights that every step reads: all but the tables of the embedding, of which it reads a few rows.
Index weights_read(const Model& model) {
  Index count = parameter_count(model.final_norm) + parameter_count(model.head);
  for (const auto& block : model.blocks) count += parameter_count(block);
  return count;
}

struct Memory {
  const Model& model;
  int agents;

  /// Steps in both contexts of an agent whose acting one holds `acting`: the younger opens half a context later.
  [[nodiscard]] int open_steps(int acting) const { return 2 * acting - model.config.context / 2; }

  /// Microseconds to read what a step has to read: weights once, keys and values of all open contexts, in the last
  /// layer only those of the acting one.
  [[nodiscard]] double floor(int acting, bench::Pages pages = bench::Pages::ordinary) const {
    const Index steps = Index{model.config.layer_count - 1} * open_steps(acting) + acting;
    const Index remembered = Index{2} * model.config.width * steps;
    return 1e6 * bench::seconds_to_read(static_cast<std::size_t>(weights_read(model) + agents * remembered), pages);
  }
};

/// Prints median and 99th percentile over all steps; the fullest step: the phase of the cycle whose median is largest;
/// the 99th percentile of the steps in which a context is given up and another opened; and median and fullest step as
/// multiples of the time that it takes to read what they have to; the median also where that lies in large pages.
/// `remembered()` says how many steps an agent acts by. Without `memory` nothing is said about what has to be read.
template <typename Agents, typename Remembered>
void measure(const std::string& name, Agents& agents, Remembered&& remembered, bench::Rooms& rooms, int context,
             const Memory* memory, int cycles) {
  for (int i = 0; i < 2 * context; ++i) rooms.step(agents);
  std::vector<double> all, openings, acting_steps;
  std::vector<std::vector<double>> by_phase(static_cast<std::size_t>(context));
  int before = remembered();
  for (int cycle = 0; cycle < cycles; ++cycle) {
    for (auto& times : by_phase) {
      times.push_back(1e6 * rooms.step(agents));
      all.push_back(times.back());
      const int now = remembered();
      if (now <= before) openings.push_back(times.back());
      before = now;
      acting_steps.push_back(now);
    }
  }
  double fullest = 0;
  for (const auto& times : by_phase) fullest = std::max(fullest, bench::quantile(times, 0.5));
  const double median = bench::quantile(all, 0.5);
  bench::Figure measured{.name = name,
                         .value = median,
                         .unit = "us",
                         .details = {{"p99", bench::quantile(all, 0.99)},
                                     {"fullest", fullest},
                                     {"opening_p99", openings.empty() ? 0 : bench::quantile(openings, 0.99)},
                                     {"longest_opening", openings.empty() ? 0 : bench::quantile(openings, 1)}}};
  if (memory != nullptr) {
    const int acting = static_cast<int>(bench::quantile(acting_steps, 0.5));
    const double floor = memory->floor(acting), fullest_floor = memory->floor(context);
    const double large_page_floor = memory->floor(acting, bench::Pages::large);
    measured.details.insert(measured.details.end(), {{"floor", floor},
                                                     {"fullest_floor", fullest_floor},
                                                     {"x_floor", median / floor},
                                                     {"fullest_x_floor", fullest / fullest_floor},
                                                     {"x_large_page_floor", median / large_page_floor}});
  }
  bench::print(measured);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Shape shape;
  int count = 1, cycles = 40;
  bool apart = false, int8 = false;
  CLI::App app{"Measures the time of one action"};
  bench::add_options(app, shape);
  app.add_option("--agents", count)->check(bench::counts);
  app.add_flag("--apart", apart, "serve the agents one after the other");
  app.add_option("--cycles", cycles, "cycles of the streaming memory to measure")->check(bench::counts);
  app.add_flag("--int8", int8, "one agent of an integer model")->excludes("--agents")->excludes("--apart");

  return bench::run_program(app, argc, argv, [&] {
    bench::Rooms rooms{count, shape.context};
    const Model model = bench::fresh_model(shape, bench::Rooms::layout());
    if (int8) {
      const Int8Transformer integers = to_int8(model);
      InContextAgent<Int8Transformer> agent{integers};
      LearnerGroup<InContextAgent<Int8Transformer>> agents{std::span{&agent, 1}};
      const auto remembered = [&] { return agent.remembered_steps(); };
      return measure(fmt::format("int8_act_{}", shape.text()), agents, remembered, rooms, shape.context, nullptr,
                     cycles);
    }
    const Memory memory{model, count};
    if (count > 1 && !apart) {
      InContextAgents<Model> agents{model, count};
      const auto remembered = [&] { return agents.remembered_steps(0); };
      measure(fmt::format("act_{}_B{}", shape.text(), count), agents, remembered, rooms, shape.context, &memory,
              cycles);
      return;
    }
    std::vector<InContextAgent<Model>> each;
    each.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) each.emplace_back(model);
    LearnerGroup<InContextAgent<Model>> agents{each};
    const auto remembered = [&] { return each.front().remembered_steps(); };
    const std::string name =
        apart ? fmt::format("extra_act_apart_{}_B{}", shape.text(), count) : fmt::format("act_{}", shape.text());
    measure(name, agents, remembered, rooms, shape.context, &memory, cycles);
  });
}
