// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Bytes of an agent and of training that the process really occupies (RssAnon), beside what a formula says
// (support/memory_formula.hpp).
//
//   memory_benchmark agent WIDTH LAYERS HEADS CONTEXT AGENTS              bytes an agent
//   memory_benchmark train WIDTH LAYERS HEADS CONTEXT BATCH [--threads 2]  bytes in all, once steps have been made
#include <fstream>
#include <string>

#include <icrl/agent/in_context_agents.hpp>

#include "support/measurement.hpp"
#include "support/memory_formula.hpp"
#include "support/program.hpp"
#include "support/rooms.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;

namespace {

/// Occupied pages that are not those of a file.
double resident_bytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string name; status >> name;) {
    double kilobytes = 0;
    if (name == "RssAnon:" && status >> kilobytes) return kilobytes * 1024;
  }
  fail("memory_benchmark: /proc/self/status does not tell the resident memory");
}

void measure_agent(const bench::Shape& shape, int agents) {
  const bench::Model model = bench::fresh_model(shape, bench::Rooms::layout());
  const double before = resident_bytes();
  const InContextAgents<bench::Model> group{model, agents};
  bench::print({.name = fmt::format("extra_memory_agent_{}", shape.text()),
                .value = (resident_bytes() - before) / agents,
                .unit = "bytes",
                .details = {{"formula", bench::agent_bytes(model)}}});
}

void measure_training(const bench::Shape& shape, int batch, int threads) {
  const auto histories = bench::record_histories(bench::episodes_for(shape.context));
  const auto views = bench::views_of(histories);
  const double before = resident_bytes();
  bench::Training training{shape, views, batch, threads};
  for (int i = 0; i < 3; ++i) training.trainer.step();
  bench::print({.name = fmt::format("extra_memory_threads{}_train_{}_B{}", threads, shape.text(), batch),
                .value = resident_bytes() - before,
                .unit = "bytes",
                .details = {{"formula", bench::training_bytes(training.model, training.trainer.config())}}});
}

}  // namespace

int main(int argc, char** argv) {
  std::string what;
  bench::Shape shape;
  int count = 1, threads = 2;
  CLI::App app{"Measures the memory of agents and of training"};
  app.add_option("what", what)->required()->check(CLI::IsMember({"agent", "train"}));
  bench::add_options(app, shape);
  app.add_option("count", count, "agents, or sequences an update")->required()->check(bench::counts);
  app.add_option("--threads", threads)->check(bench::counts);

  return bench::run_program(app, argc, argv, [&] {
    if (what == "agent") {
      measure_agent(shape, count);
    } else {
      measure_training(shape, count, threads);
    }
  });
}
