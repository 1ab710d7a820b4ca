// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <icrl/core/checksum.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/tensors.hpp>

namespace icrl {

/// What kind of model this is: two models with one description can exchange weights.
template <SequenceModel M>
[[nodiscard]] std::string describe(const M& model) {
  // Checkpoints and agent memories hold these texts, and were first written when there was one kind only.
  constexpr std::string_view kind = M::kind, unnamed_kind = "causal_transformer";
  std::string prefix;
  if (kind != unnamed_kind) prefix = std::string{kind} + ", ";
  std::string suffix;
  if (!model.layout.extra_features.empty())
    suffix += fmt::format(", extra features {}", to_string(model.layout.extra_features));
  if (const int count = output_count_of(model); count != model.actions.parameter_count())
    suffix += fmt::format(", {} outputs", count);
  return fmt::format("{}{}-bit, {}, observations {}, actions {}, {} closing token{}", prefix,
                     8 * sizeof(typename M::Scalar), describe(model.config), to_string(model.layout.observation_space),
                     to_string(model.layout.action_space), model.layout.closing_token ? "with" : "no", suffix);
}

/// CRC-32C over the names and bytes of all tensors.
template <SequenceModel M>
requires HasWeights<M>
[[nodiscard]] std::uint32_t weights_checksum(const M& model) {
  std::uint32_t checksum = 0;
  for (const TensorView& tensor : tensors_of(model)) {
    checksum = crc32c(std::as_bytes(std::span{tensor.name}), checksum);
    checksum = crc32c(tensor.bytes, checksum);
  }
  return checksum;
}

/// Tells one trained model from another.
template <SequenceModel M>
requires HasWeights<M>
[[nodiscard]] std::string fingerprint(const M& model) {
  return fmt::format("{}, weights {:08x}", describe(model), weights_checksum(model));
}

}  // namespace icrl
