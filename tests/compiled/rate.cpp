// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// How fast a transformer trains and acts, from icrl::compiled (ICRL_COMPILED) or from the headers: prints a line with
// the environment steps per second of training and of acting for each of three shapes.
//   rate [SECONDS]     for each figure, by default 2
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "compiled/small_job.hpp"
#if defined(ICRL_COMPILED)
#include <icrl/compiled/compiled_trainer.hpp>
using Transformer = icrl::CompiledTransformer;
using Trainer = icrl::CompiledTrainer;
#else
#include <icrl/train/distil.hpp>
using Transformer = icrl::CausalTransformer<float>;
using Trainer = icrl::DistilTrainer<Transformer>;
#endif

namespace {

using namespace icrl;

/// Calls of `work` per second, after one that is not counted.
template <typename Work>
double calls_per_second(double seconds, Work&& work) {
  work();
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::duration<double> passed{};
  int calls = 0;
  while (passed.count() < seconds) {
    work();
    ++calls;
    passed = std::chrono::steady_clock::now() - begin;
  }
  return calls / passed.count();
}

void print_rates(const TransformerConfig& config, double seconds) {
  const std::vector<LearningHistory> histories = test::small_histories();
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  const WindowSampler sampler{views, test::small_layout(), {.context = config.context}};
  Transformer model{config, test::small_layout()};
  Rng rng{1};
  model.initialize(rng);

  std::vector<Transformer::State> states = model.make_states(1);
  Transformer::StreamWorkspace workspace;
  Matrix<float> outputs(1, 5);
  std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
  const std::vector<StreamInput<Transformer::State>> lanes{{&states[0], row.data(), true}};
  const double acting = config.context * calls_per_second(seconds, [&] {
                          states[0].clear();
                          for (int t = 0; t < config.context; ++t) model.step(lanes, workspace, outputs);
                        });

  constexpr int batch = 8;
  const DistilConfig training{.updates = 1'000'000, .batch = batch, .gradient_slots = 1, .thread_count = 1};
  Trainer trainer{model, sampler, training};
  const double updates = calls_per_second(seconds, [&] { (void)trainer.step(); });
  std::printf(" %.0f %.0f", updates * batch * config.context, acting);
}

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? std::atof(arguments[1]) : 2;
  print_rates({.width = 32, .layer_count = 2, .head_count = 2, .context = 80}, seconds);
  print_rates({.width = 64, .layer_count = 4, .head_count = 4, .context = 160}, seconds);
  print_rates({.width = 128, .layer_count = 4, .head_count = 4, .context = 200}, seconds);
  std::puts("");
}
