// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// An integer model that one machine has trained acts on another one; scripts/aarch64.sh and scripts/wasm.sh compare.
//   integer_model FILE STEPS     loads the model and prints two checksums: of its outputs over a stream that is made
//                                up, and of the actions that an agent draws as long
// Fails where a level of the CPU has other checksums than the scalar one, or an output is not finite.
#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/int8_transformer.hpp>
#include <icrl/io/model_file.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <icrl/core/checksum.hpp>
#include <icrl/core/rng.hpp>

#include "support/integer_stream.hpp"

using namespace icrl;

namespace {

/// CRC-32C of the actions that an agent draws in a world of random ids and rewards, in episodes of 15 steps.
std::uint32_t action_checksum(const Int8Transformer& model, int steps, Rng rng) {
  InContextAgent agent{model};
  Rng actor = rng.fork(1);
  std::vector<float> observation(static_cast<std::size_t>(model.layout.observation_size()), 0.0f),
      next = observation, action(static_cast<std::size_t>(model.layout.action_size()));
  std::uint32_t checksum = 0;
  for (int t = 0; t < steps; ++t) {
    agent.act(observation, action, actor);
    checksum = crc32c(std::as_bytes(std::span{action}), checksum);
    for (float& number : next) number = static_cast<float>(rng.below(4));
    agent.learn({.observation = observation,
                 .action = action,
                 .reward = static_cast<float>(rng.below(2)),
                 .next_observation = next,
                 .truncated = t % 15 == 14});
    observation = next;
  }
  return checksum;
}

}  // namespace

int main(int argc, char* argv[]) {
  const int steps = argc == 3 ? std::atoi(argv[2]) : 0;
  if (steps <= 0) {
    std::fprintf(stderr, "integer_model FILE STEPS\n");
    return 2;
  }
  try {
    auto model = load_model<Int8Transformer>(argv[1]);
    std::uint32_t outputs = 0, actions = 0;
    bool is_right = true;
    for (const CpuLevel level : available_cpu_levels()) {
      model.level = level;
      const std::uint32_t found_outputs = icrl::test::stream_checksum(model, steps, Rng{7});
      const std::uint32_t found_actions = action_checksum(model, steps, Rng{8});
      std::fprintf(stderr, "%s: %08x, %08x\n", std::string{to_string(level)}.c_str(), found_outputs, found_actions);
      if (level == CpuLevel::scalar) {
        outputs = found_outputs;
        actions = found_actions;
      }
      if (found_outputs == 0 || found_outputs != outputs || found_actions != actions) is_right = false;
    }
    std::printf("%d steps: outputs %08x, actions %08x\n", steps, outputs, actions);
    return is_right ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "integer_model: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
