// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// What threads are worth, and what a busy neighbor costs. The two that are compared take turns in one run; the other
// one is printed like a peer, so that the ratio is the speed-up.
//
//   threads_benchmark train WIDTH LAYERS HEADS CONTEXT BATCH    tokens/s of training by all threads, and by one
//   threads_benchmark shared WIDTH LAYERS HEADS CONTEXT BATCH   tokens/s of training while another process keeps one
//                                                               core busy, and while none does
//   threads_benchmark act WIDTH LAYERS HEADS CONTEXT AGENTS     microseconds of one action of all agents, one group for
//                                                               each thread, and all in one group
//   options: [--threads 2] [--seconds 4]
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/parallel.hpp>

#include "support/measurement.hpp"
#include "support/program.hpp"
#include "support/rooms.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;
using bench::Model;

namespace {

/// Another process that keeps the first core busy as long as this object lives.
class BusyNeighbor {
public:
  BusyNeighbor() : process_{::fork()} {
    if (process_ < 0) throw std::system_error{errno, std::generic_category(), "cannot start a busy process"};
    if (process_ == 0) keep_busy();
  }
  ~BusyNeighbor() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  BusyNeighbor(const BusyNeighbor&) = delete;
  BusyNeighbor& operator=(const BusyNeighbor&) = delete;

private:
  [[noreturn]] static void keep_busy() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it must not outlive the benchmark
    ::cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    ::sched_setaffinity(0, sizeof first, &first);
    for (volatile unsigned turns = 0;;) turns = turns + 1;
  }

  ::pid_t process_;
};

struct Job {
  bench::Shape shape;
  int count = 1, threads = 2;
  double seconds = 4;

  [[nodiscard]] double tokens() const { return static_cast<double>(count) * shape.context; }
};

void print_pair(const std::string& name, const std::string& unit, double ours, double others, const std::string& who,
                int threads) {
  bench::print({.name = name, .value = ours, .unit = unit, .details = {{"threads", threads}}});
  bench::print({.name = name, .value = others, .unit = unit, .who = who});
}

void measure_training(const Job& job) {
  const auto histories = bench::record_histories(bench::episodes_for(job.shape.context));
  const auto views = bench::views_of(histories);
  bench::Training by_all{job.shape, views, job.count, job.threads}, by_one{job.shape, views, job.count, 1};
  const auto step = [](bench::Training& training) {
    return [&training] { return bench::seconds_of([&] { training.trainer.step(); }); };
  };
  const auto [all, one] = bench::time_in_turns(job.seconds, step(by_all), step(by_one));
  print_pair(fmt::format("extra_threads{}_train_{}_B{}", job.threads, job.shape.text(), job.count), "tokens/s",
             job.tokens() / all, job.tokens() / one, "icrl with one thread", job.threads);
}

void measure_shared(const Job& job) {
  const auto histories = bench::record_histories(bench::episodes_for(job.shape.context));
  bench::Training training{job.shape, bench::views_of(histories), job.count, job.threads};
  // Turns are long against the scheduler's, and the share of a core that the neighbor gets is a mean, not a median.
  const auto seconds_a_step = [&] {
    int steps = 0;
    const double start = bench::now_seconds();
    for (; bench::now_seconds() < start + job.seconds / 8; ++steps) training.trainer.step();
    return (bench::now_seconds() - start) / steps;
  };
  const auto beside_neighbor = [&] {
    const BusyNeighbor neighbor;
    return seconds_a_step();
  };
  const auto [shared, free] = bench::time_in_turns(job.seconds, beside_neighbor, seconds_a_step);
  print_pair(fmt::format("extra_shared_train_{}_B{}", job.shape.text(), job.count), "tokens/s", job.tokens() / shared,
             job.tokens() / free, "icrl on free cores", job.threads);
}

/// So many agents in one group, and a room for each.
struct Group {
  bench::Rooms rooms;
  InContextAgents<Model> agents;

  Group(const Model& model, int count) : rooms{count, model.config.context}, agents{model, count} {}
};

void measure_acting(const Job& job) {
  const Model model = bench::fresh_model(job.shape, bench::Rooms::layout());
  Group whole{model, job.count};
  std::vector<std::unique_ptr<Group>> parts;  // the memory of a group stays with one thread
  parts.reserve(static_cast<std::size_t>(job.threads));
  for (int i = 0; i < job.threads; ++i)
    parts.push_back(std::make_unique<Group>(model, job.count * (i + 1) / job.threads - job.count * i / job.threads));
  WorkerPool pool{job.threads};
  const auto step_parts = [&] {
    return bench::seconds_of([&] {
      pool.run(job.threads, [&](int i, int) {
        Group& part = *parts[static_cast<std::size_t>(i)];
        part.rooms.step(part.agents);
      });
    });
  };
  const auto step_whole = [&] { return bench::seconds_of([&] { whole.rooms.step(whole.agents); }); };
  for (int i = 0; i < 2 * job.shape.context; ++i) step_parts();
  for (int i = 0; i < 2 * job.shape.context; ++i) step_whole();
  // Whole cycles of the memory, so that all phases count alike.
  const auto cycle = [&](const auto& step) {
    return [&] {
      std::vector<double> times(static_cast<std::size_t>(job.shape.context));
      for (double& time : times) time = step();
      return bench::quantile(times, 0.5);
    };
  };
  const auto [all, one] = bench::time_in_turns(job.seconds, cycle(step_parts), cycle(step_whole));
  print_pair(fmt::format("extra_threads{}_act_{}_B{}", job.threads, job.shape.text(), job.count), "us", 1e6 * all,
             1e6 * one, "icrl with one thread", job.threads);
}

}  // namespace

int main(int argc, char** argv) {
  std::string what;
  Job job;
  CLI::App app{"Measures what threads are worth"};
  app.add_option("what", what)->required()->check(CLI::IsMember({"train", "shared", "act"}));
  bench::add_options(app, job.shape);
  app.add_option("count", job.count, "sequences an update, or agents")->required()->check(bench::counts);
  app.add_option("--threads", job.threads)->check(bench::counts);
  app.add_option("--seconds", job.seconds)->check(bench::durations);

  return bench::run_program(app, argc, argv, [&] {
    if (what == "train") measure_training(job);
    if (what == "shared") measure_shared(job);
    if (what == "act" && job.count < job.threads)
      fail("{} agents are too few for a group on each of {} threads", job.count, job.threads);
    if (what == "act") measure_acting(job);
  });
}
