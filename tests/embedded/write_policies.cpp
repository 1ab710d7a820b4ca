// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Writes random models of all kinds as headers, FOLDER/NAME.hpp, and what agents of the library do in a made-up life,
// FOLDER/NAME.expected.
//   write_policies FOLDER STEPS
#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/compress/write_cpp.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "embedded/life.hpp"
#include "support/quantized_maps.hpp"
#include "support/small_model.hpp"

using namespace icrl;

namespace {

struct Case {
  const char* name;
  TransformerConfig shape;
  StepLayout layout;
  std::vector<int> layer_bits;
  int head_bits, group;
  CppConfig config{};
};

std::vector<Case> cases() {
  const StepLayout ids{.observation_space = MultiDiscrete{{4, 5}}, .action_space = Discrete{6}};
  const StepLayout closed{
      .observation_space = Discrete{7}, .action_space = MultiDiscrete{{3, 2}}, .closing_token = true};
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const StepLayout numbers{.observation_space = Box{{-1, -2, -infinity}, {1, 2, infinity}},
                           .action_space = Box{{-1, 0}, {1, infinity}}};
  const StepLayout pixels{.observation_space = image_box(1, 2, 1), .action_space = Discrete{3}};
  const TransformerConfig plain{.width = 16, .layer_count = 2, .head_count = 2, .context = 20};
  TransformerConfig anywhere = plain;
  anywhere.window_start = WindowStart::anywhere;
  const TransformerConfig odd{.width = 45,
                              .layer_count = 3,
                              .head_count = 5,
                              .hidden = 70,
                              .context = 13,
                              .reward_scale = 0.3,
                              .layer_heads = {5, 2, 4},
                              .layer_hidden = {70, 31, 8}};
  const TransformerConfig rotary{.width = 24,
                                 .layer_count = 2,
                                 .head_count = 2,
                                 .hidden = 40,
                                 .context = 15,
                                 .positions = PositionScheme::rotary,
                                 .tokens = TokenScheme::separate};
  // Of the example 090_compress.
  const StepLayout room{.observation_space = MultiDiscrete{{9, 9}}, .action_space = Discrete{5}};
  const TransformerConfig key_to_door{.width = 64, .layer_count = 3, .head_count = 4, .context = 200};
  return {{"key_to_door", key_to_door, room, {4, 4, 4}, 4, 32, {.decoding = {.temperature = 2}}},
          {"bits8", plain, ids, {8, 8}, 8, 0},
          {"bits4", anywhere, ids, {4, 4}, 4, 16, {.decoding = {.temperature = 0.5, .min_p = 0.1}, .context_count = 3}},
          {"bits3", odd, closed, {3, 8, 4}, 8, 13},
          {"bits2", rotary, closed, {2, 2}, 3, 0, {.decoding = {.temperature = 2}}},
          {"numbers", rotary, numbers, {8, 2}, 8, 8, {.decoding = {.temperature = 0}}},
          {"pixels", anywhere, pixels, {8, 8}, 8, 0, {.decoding = {.temperature = 0}, .context_count = 1}}};
}

Int8Transformer random_model(const Case& each) {
  const CausalTransformer<float> model = icrl::test::small_model(each.shape, each.layout);
  Rng rng{3};
  QuantizedMaps maps;
  const auto add = [&](const std::string& name, const Linear<float>& map, int bits) {
    maps.emplace(
        name, icrl::test::random_quantized(map.input_size(), map.output_size(), bits, bits < 8 ? each.group : 0, rng));
  };
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string name = fmt::format("blocks.{}", i);
    const int bits = each.layer_bits[i];
    add(name + ".attention.qkv", model.blocks[i].attention.qkv, bits);
    add(name + ".attention.output", model.blocks[i].attention.output, bits);
    add(name + ".mlp.up", model.blocks[i].feed_forward.up, bits);
    add(name + ".mlp.down", model.blocks[i].feed_forward.down, bits);
  }
  add("head", model.head, each.head_bits);
  return to_int8(model, maps);
}

struct Functions {
  static double exp2(double x) { return detail::exact_exp2(x); }
  static float exp2(float x) { return detail::exact_exp2(x); }
  static float gelu(float x) { return detail::exact_gelu(x); }
  static float root(float x) { return std::sqrt(x); }
  static float from_half(std::uint16_t half) { return static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(half)); }
  static double uniform(std::uint64_t seed) { return Rng{seed, seed + 1}.uniform(); }
};

/// An agent of the library.
struct Life {
  Life(const Int8Transformer& model, const CppConfig& config)
      : context{model.config.context},
        observation_size{model.layout.observation_size()},
        action_size{model.layout.action_size()},
        output_count{model.actions.parameter_count()},
        agent{model, config.decoding, config.context_count} {}

  static float draw(embedded::Source& source, const Space& space, int i) {
    const auto index = static_cast<std::size_t>(i);
    if (has_ids(space))
      return embedded::draw(source, 0, static_cast<float>(id_counts(space)[index] - 1), /*is_whole*/ true);
    const Box& box = std::get<Box>(space);
    return embedded::draw(source, box.low[index], box.high[index], is_whole(space));
  }
  float draw_observation(embedded::Source& source, int i) const { return draw(source, layout().observation_space, i); }
  float draw_action(embedded::Source& source, int i) const { return draw(source, layout().action_space, i); }

  bool act(const float* observation, float* action) {
    acted = {observation, static_cast<std::size_t>(observation_size)};
    agent.act(acted, {action, static_cast<std::size_t>(action_size)}, rng);
    return true;
  }
  bool watch(const float* observation) {
    acted = {observation, static_cast<std::size_t>(observation_size)};
    return true;
  }
  bool learn(const float* action, float reward, bool ends_episode, const float* next_observation) {
    agent.learn({.observation = acted,
                 .action = {action, static_cast<std::size_t>(action_size)},
                 .reward = reward,
                 .next_observation = {next_observation, static_cast<std::size_t>(observation_size)},
                 .truncated = ends_episode});
    return true;
  }
  void reset() { agent.reset(); }
  [[nodiscard]] const float* outputs() const { return agent.outputs().data(); }
  [[nodiscard]] const StepLayout& layout() const { return agent.model().layout; }

  int context, observation_size, action_size, output_count;
  InContextAgent<Int8Transformer> agent;
  std::span<const float> acted{};
  Rng rng{7};
};

}  // namespace

int main(int argc, char* argv[]) {
  const int steps = argc == 3 ? std::atoi(argv[2]) : 0;
  if (steps <= 0) {
    std::fprintf(stderr, "write_policies FOLDER STEPS\n");
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    for (const Case& each : cases()) {
      const Int8Transformer model = random_model(each);
      const CppHeader header = write_cpp(model, folder / fmt::format("{}.hpp", each.name), each.config);
      Life life{model, each.config};
      const embedded::Checksums sums = embedded::live(life, steps);
      const std::string expected = fmt::format(
          "{} steps: outputs {:08x}, actions {:08x}, arithmetic {:08x}; {} bytes of flash, {} of RAM\n", steps,
          sums.outputs, sums.actions, embedded::arithmetic_checksum<Functions>(), header.flash_bytes, header.ram_bytes);
      write_file_atomically(folder / fmt::format("{}.expected", each.name), std::as_bytes(std::span{expected}));
    }
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_policies: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
