// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Prints a line per target that this CPU runs: the target, and checksums of the weights and outputs of a small job,
// with float and with bfloat16 products. Linked to icrl::compiled and compiled for no target in particular; a build of
// the headers for a target (ICRL_HEADERS, the target's name) prints that target's line.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#if defined(ICRL_HEADERS)
#include <icrl/train/distil.hpp>
#else
#include <icrl/compiled/compiled_trainer.hpp>
#endif

#include "compiled/small_job.hpp"

namespace {

template <typename M>
void print_line(std::string_view target, const M& model) {
  using namespace icrl;
  const auto train = [](M& trained, const WindowSampler& sampler, const DistilConfig& config) {
    (void)distil(trained, sampler, config);
  };
  std::string line{target};
  for (const Products products : {Products::full, Products::bfloat16}) {
    const test::SmallRun run = test::run_small_job(model, products, train);
    line += fmt::format(" {:08x} {:08x}", run.weights, run.outputs);
  }
  std::puts(line.c_str());
}

}  // namespace

int main() try {
#if defined(ICRL_HEADERS)
  print_line(ICRL_HEADERS, icrl::CausalTransformer<float>{icrl::test::small_config(), icrl::test::small_layout()});
#else
  for (const std::string_view target : icrl::compiled_targets())
    print_line(target, icrl::CompiledTransformer{icrl::test::small_config(), icrl::test::small_layout(), target});
#endif
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return EXIT_FAILURE;
}
