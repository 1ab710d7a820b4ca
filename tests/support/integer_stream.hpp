// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/compress/int8_transformer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <icrl/core/checksum.hpp>
#include <icrl/core/rng.hpp>

namespace icrl::test {

/// Rows of a stream that is made up, the same ones everywhere: ids below 4, or numbers in -1 .. 1.
inline std::vector<float> random_rows(const StepLayout& layout, int count, Rng& rng) {
  const bool has_numbers = std::holds_alternative<Box>(layout.observation_space);
  std::vector<float> rows;
  for (int t = 0; t < count; ++t) {
    for (int i = 0; i < layout.observation_size() + layout.action_size(); ++i)
      rows.push_back(has_numbers ? static_cast<float>(rng.below(2001) - 1000) / 1000.0f
                                 : static_cast<float>(rng.below(4)));
    rows.push_back(static_cast<float>(rng.below(5)) / 4.0f);
    rows.push_back(static_cast<float>(rng.below(StepFlag::count)));
  }
  return rows;
}

/// CRC-32C of the outputs of `steps` steps of three streams, the second one half as long; 0 where an output is not
/// finite.
inline std::uint32_t stream_checksum(const Int8Transformer& model, int steps, Rng rng) {
  auto states = model.make_states(3);
  Int8Transformer::StreamWorkspace workspace;
  Matrix<float> outputs(3, model.actions.parameter_count());
  std::uint32_t checksum = 0;
  for (int t = 0; t < steps; ++t) {
    const std::vector<float> rows = random_rows(model.layout, 3, rng);
    std::vector<StreamInput<Int8Cache>> inputs;
    for (std::size_t i = 0; i < 3; ++i) {
      if (states[i].length() == model.config.context) states[i].clear();
      if (i == 1 && t % 2 == 0) continue;
      inputs.push_back({&states[i], rows.data() + i * static_cast<std::size_t>(model.layout.feature_count())});
    }
    outputs.setZero();
    model.step(inputs, workspace, outputs);
    for (const float output : std::span{outputs.data(), static_cast<std::size_t>(outputs.size())})
      if (!std::isfinite(output)) return 0;
    checksum = crc32c(std::as_bytes(std::span{outputs.data(), static_cast<std::size_t>(outputs.size())}), checksum);
  }
  return checksum;
}

}  // namespace icrl::test
