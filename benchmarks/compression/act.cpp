// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// How much of a float agent's time an agent of integers takes (W8A8 with an int8 cache), on one thread, over whole
// cycles of the streaming memory once that is in its steady state. Both agents take turns; a figure is the median of
// the ratios of neighboring turns, with the interval of the middle half.
//
//   compression_act [--turns 9] [--shapes 64x4x4x200 ...]      WIDTHxLAYERSxHEADSxCONTEXT[xAGENTS]
//
// Pin it to one core: taskset -c 1 compression_act.
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/compress/to_int8.hpp>

#include "support/measurement.hpp"
#include "support/program.hpp"
#include "support/rooms.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;

namespace {

struct Case {
  bench::Shape shape;
  int agents = 1;
};

/// Throws Error for a text that is no shape.
Case case_of(const std::string& text) {
  std::vector<int> numbers;
  const char *at = text.data(), *const end = at + text.size();
  while (at < end) {
    const auto [next, error] = std::from_chars(at, end, numbers.emplace_back());
    if (error != std::errc{} || numbers.back() < 1 || (next != end && *next != 'x')) numbers.clear();
    at = numbers.empty() || next == end ? end : next + 1;
  }
  if (numbers.size() != 4 && numbers.size() != 5)
    fail("shape \"{}\": it is WIDTHxLAYERSxHEADSxCONTEXT or WIDTHxLAYERSxHEADSxCONTEXTxAGENTS", text);
  return {.shape = {.width = numbers[0], .layers = numbers[1], .heads = numbers[2], .context = numbers[3]},
          .agents = numbers.size() == 5 ? numbers[4] : 1};
}

/// Agents of one model in their rooms, in the steady state of their memory.
template <typename M>
class Turns {
public:
  Turns(const M& model, int agents) : context_{model.config.context}, rooms_{agents, context_}, agents_{model, agents} {
    for (int i = 0; i < 2 * context_; ++i) rooms_.step(agents_);
  }

  /// The median step of a cycle of the memory, in microseconds.
  double next() {
    std::vector<double> times;
    for (int i = 0; i < std::max(context_, 400) / context_ * context_; ++i) times.push_back(1e6 * rooms_.step(agents_));
    return bench::quantile(times, 0.5);
  }

private:
  int context_;
  bench::Rooms rooms_;
  InContextAgents<M> agents_;
};

void measure(const Case& one, int turns) {
  const bench::Model model = bench::fresh_model(one.shape, bench::Rooms::layout());
  const Int8Transformer integers = to_int8(model);
  Turns in_float{model, one.agents};
  Turns in_integers{integers, one.agents};
  std::vector<double> float_times, integer_times, ratios;
  for (int turn = 0; turn < turns; ++turn) {
    float_times.push_back(in_float.next());
    integer_times.push_back(in_integers.next());
    ratios.push_back(integer_times.back() / float_times.back());
  }
  bench::print({.name = fmt::format("int8_act_{}_B{}", one.shape.text(), one.agents),
                .value = bench::quantile(ratios, 0.5),
                .unit = "of float",
                .details = {{"low", bench::quantile(ratios, 0.25)},
                            {"high", bench::quantile(ratios, 0.75)},
                            {"float_us", bench::quantile(float_times, 0.5)},
                            {"int8_us", bench::quantile(integer_times, 0.5)}}});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compares the time of an action in integers with that in float"};
  int turns = 9;
  std::vector<std::string> shapes{"64x4x4x200", "128x4x4x256", "128x4x4x1024", "128x4x4x1024x64", "32x2x4x200"};
  app.add_option("--turns", turns, "of each agent")->check(bench::counts);
  app.add_option("--shapes", shapes, "WIDTHxLAYERSxHEADSxCONTEXT[xAGENTS]");
  return bench::run_program(app, argc, argv, [&] {
    for (const std::string& text : shapes) measure(case_of(text), turns);
  });
}
