// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Integer models have the same bits everywhere: this program makes some of whole numbers, runs them at every level of
// the CPU, prints a checksum of all outputs, and fails unless it is the one written down here, whatever the target, the
// compiler and its flags.
#include <icrl/compress/int8_transformer.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/model/tensors.hpp>

#include "support/integer_stream.hpp"

using namespace icrl;

namespace {

/// Random tensors without a function of a math library: `Rng::normal` is not the same everywhere.
/// Of a model that is pruned three of four blocks of 16 outputs by 4 inputs have no weight.
Int8Transformer random_model(const Int8TransformerConfig& config, bool is_pruned, const StepLayout& layout, Rng& rng) {
  Int8Transformer model{config, layout};
  for (const MutableTensorView& tensor : tensors_of(model)) {
    std::byte* const begin = tensor.bytes.data();
    if (tensor.dtype == "F16") {
      for (std::size_t i = 0; i < tensor.bytes.size(); i += 2) {
        const bool is_scale = tensor.name.ends_with("scale");
        const float drawn = is_scale ? static_cast<float>(1 + rng.below(1000)) / 400.0f
                                     : static_cast<float>(rng.below(201) - 70) / 64.0f;
        const Eigen::half number{drawn};
        std::memcpy(begin + i, &number, 2);
      }
    } else if (tensor.dtype == "U8") {
      // Group scales of 4 bits, row by row: two rows to a row of bytes.
      const auto columns = static_cast<std::size_t>(tensor.shape[1]);
      std::fill(tensor.bytes.begin(), tensor.bytes.end(), std::byte{0});
      for (std::size_t i = 0; i < 2 * tensor.bytes.size(); ++i)
        begin[i / columns / 2 * columns + i % columns] |=
            static_cast<std::byte>((1 + rng.below(15)) << (i / columns % 2 * 4));
    } else {
      // Packed codes may be any bits, as rows are whole bytes here.
      const bool is_packed = tensor.name.starts_with("blocks") && config.weight_bits < 8;
      for (std::byte& code : tensor.bytes)
        code = static_cast<std::byte>((is_packed ? rng.below(256) : rng.below(255) - 127) & 0xff);
      if (is_pruned && tensor.name.starts_with("blocks") && tensor.name.ends_with(".weight")) {
        const auto columns = static_cast<std::size_t>(tensor.shape[1]);
        for (std::size_t i = 0; i < tensor.bytes.size(); ++i)
          if ((i / columns / 4 + 5 * (i % columns / 16)) % 4 != 0) begin[i] = std::byte{0};
      }
    }
  }
  model.finish_loading("random model");
  return model;
}

struct Case {
  const char* name;
  Int8TransformerConfig config;
  bool has_numbers, is_pruned;
  std::uint32_t expected;
};

std::vector<Case> cases() {
  Int8TransformerConfig plain{{.width = 64, .layer_count = 2, .head_count = 4, .context = 100}};
  Int8TransformerConfig odd{{.width = 45, .layer_count = 2, .head_count = 5, .hidden = 70, .context = 37}};
  Int8TransformerConfig rotary{{.width = 40,
                                .layer_count = 3,
                                .head_count = 2,
                                .hidden = 56,
                                .context = 25,
                                .positions = PositionScheme::rotary,
                                .tokens = TokenScheme::separate,
                                .reward_scale = 0.3,
                                .layer_heads = {2, 1, 2},
                                .layer_hidden = {56, 24, 8}}};
  Int8TransformerConfig four = plain;
  four.weight_bits = 4;
  four.group = 32;
  return {{"learned positions", plain, false, false, 0x28a80036},
          {"odd sizes", odd, true, false, 0x1eb565ee},
          {"rotary, three tokens", rotary, true, false, 0x8c7e3673},
          {"4 bits", four, false, false, 0x8c0c0b39},
          {"pruned in blocks", plain, false, true, 0x42a6d8cd}};
}

}  // namespace

int main() {
  bool is_right = true;
  for (const Case& each : cases()) {
    const StepLayout layout =
        each.has_numbers
            ? StepLayout{.observation_space = Box{{-1, -1, -1}, {1, 1, 1}}, .action_space = Box{{-1, -1}, {1, 1}}}
            : StepLayout{.observation_space = MultiDiscrete{{4, 5}}, .action_space = Discrete{5}};
    Rng rng{11};
    Int8Transformer model = random_model(each.config, each.is_pruned, layout, rng);
    for (const CpuLevel level : available_cpu_levels()) {
      model.level = level;
      const std::uint32_t found = icrl::test::stream_checksum(model, 600, rng);
      std::printf("%s, %s: %08x\n", each.name, std::string{to_string(level)}.c_str(), found);
      if (found != each.expected) {
        std::printf("  differs from %08x\n", each.expected);
        is_right = false;
      }
    }
  }
  return is_right ? EXIT_SUCCESS : EXIT_FAILURE;
}
