// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/agent_memory_file.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/checksum.hpp>

#include "support/agent_life.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/leaky_accumulator.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Model = CausalTransformer<float>;

/// A model whose keys and values are the biases of their maps, so that no rounding of any CPU is in a file.
Model exact_model(const TransformerConfig& config, const StepLayout& layout) {
  Model model{config, layout};
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    auto& bias = model.blocks[layer].attention.qkv.bias;
    for (Index i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(layer + 1) + 0.125f * static_cast<float>(i);
  }
  return model;
}

/// The file of two agents after `steps` steps of one and half as many of the other.
std::vector<char> file_of(const Model& model, int context_count, int steps) {
  InContextAgents agents{model, 2, Decoding{.temperature = 0}, context_count};
  std::vector<Rng> rngs(2, Rng{1});
  std::vector<float> action(static_cast<std::size_t>(model.layout.action_size()));
  const auto life = fake_life(model.layout, steps, 5, 5), other_life = fake_life(model.layout, steps, 4, 6);
  for (std::size_t t = 0; t < static_cast<std::size_t>(steps); ++t) {
    agents.act({.members = std::array{0}, .observations = life[t].observation, .masks = {}}, action, rngs);
    agents.learn(0, transition_of(life[t]));
    if (t % 2 == 0) agents.learn(1, transition_of(other_life[t]));
  }
  agents.act({.members = std::array{0}, .observations = life.front().observation, .masks = {}}, action, rngs);
  return memory_of(agents);
}

}  // namespace

TEST_CASE("Files of format version 2 stay as they are, byte by byte", "[agent]") {
  const TransformerConfig episodes{.width = 4, .layer_count = 2, .head_count = 2, .context = 6};
  TransformerConfig anywhere = episodes;
  anywhere.window_start = WindowStart::anywhere;
  const auto checksum = [](const std::vector<char>& file) {
    return fmt::format("{} bytes, {:08x}", file.size(), crc32c(std::as_bytes(std::span{file})));
  };

  // Written by the version that made the first files of this format.
  CHECK(checksum(file_of(exact_model(episodes, id_layout(false)), 2, 25)) == "3679 bytes, 6953dacb");
  CHECK(checksum(file_of(exact_model(episodes, id_layout(true)), 3, 26)) == "4709 bytes, 17a14504");
  CHECK(checksum(file_of(exact_model(anywhere, box_layout(false)), 2, 27)) == "4485 bytes, 12faec02");
  CHECK(checksum(file_of(exact_model(anywhere, box_layout(true)), 1, 28)) == "2431 bytes, ba0c2108");
}

TEST_CASE("States are written and read without agents", "[agent]") {
  const Model model = small_model(small_config(6), id_layout(true));
  const TemporaryFolder folder;
  InContextAgents agents{model, 2}, others{model, 2};
  for (const FakeStep& step : fake_life(model.layout, 20, 5, 1)) agents.learn(1, transition_of(step));
  const std::array states{agents.state(0), agents.state(1)};

  write_agent_memory<Model>(folder / "memory", model, states);
  const auto read = read_agent_memory<Model>(folder / "memory", model, {others.state(0), others.state(1)});

  CHECK(read_bytes(folder / "memory") == memory_of(agents));
  others.set_state(0, read[0]);
  others.set_state(1, read[1]);
  CHECK(memory_of(others) == memory_of(agents));
  CHECK(has(error_of([&] { (void)read_agent_memory<Model>(folder / "memory", model, {others.state(0)}); }),
            "number of members is 2, it must lie in 1 .. 1"));
}

TEST_CASE("Endless streams of another length, or more contexts than one, are refused", "[agent]") {
  const LeakyAccumulator model{id_layout()};
  const TemporaryFolder folder;
  const auto path = folder / "memory";
  InContextAgents agents{model, 1};
  const auto refusal = [&](std::int64_t step_count, int context_count) {
    ByteWriter out;
    out.text(fingerprint(model));
    const std::vector<float> zeros(5);
    out.value(1);                                                                // members
    for (const bool flag : {false, true, false}) out.value(std::uint8_t{flag});  // as a new agent's
    out.values(std::span{zeros}.first(2));                                       // previous action and reward
    out.value(std::uint8_t{0});                                                  // no closing row,
    out.values(std::span{zeros});                                                // its place
    out.value(context_count);
    out.value(context_count);  // all of them open
    out.value(step_count);
    out.values(std::span{zeros});  // the sum
    out.value(0);                  // rows of the last episode
    write_checked_file(path, agent_memory_kind, out.bytes());
    return error_of([&] { agents.restore(path); });
  };

  CHECK(refusal(std::int64_t{1} << 40, 1).empty());
  CHECK(agents.remembered_steps(0) == std::numeric_limits<int>::max());
  CHECK(has(refusal(-1, 1), "steps of a sum is -1, it must lie in 0 .."));
  CHECK(has(refusal(0, 1), "context 0 is open, but holds no steps"));
  CHECK(has(refusal(3, 2), "number of contexts is 2, it must lie in 1 .. 1"));
}
