// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <icrl/agent/agent_checks.hpp>
#include <icrl/agent/agent_state.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checked_file.hpp>
#include <icrl/core/text_difference.hpp>
#include <icrl/model/fingerprint.hpp>

namespace icrl {

/// What a group of agents remembers, in a file. Payload of the CheckedFile: text fingerprint of the model, i32 number
/// of members, then each member, see AgentState::save.
inline constexpr CheckedFileKind agent_memory_kind{.magic = "icrlmem", .name = "agent memory", .version = 2};

/// Writes the states of agents over `model`, atomically.
template <Streaming M>
requires HasWeights<M>
void write_agent_memory(const std::filesystem::path& path, const M& model, std::span<const AgentState<M>> states) {
  ByteWriter out;
  out.text(fingerprint(model));
  out.value(static_cast<int>(states.size()));
  for (const AgentState<M>& state : states) state.save(out);
  write_checked_file(path, agent_memory_kind, out.bytes());
}

/// Reads what `write_agent_memory` wrote into `states`, those of as many agents over the same model with the same
/// number of contexts, and returns them. Throws Error for a damaged file or one of another model.
template <Streaming M>
requires HasWeights<M>
[[nodiscard]] std::vector<AgentState<M>> read_agent_memory(const std::filesystem::path& path, const M& model,
                                                           std::vector<AgentState<M>> states) {
  const CheckedFile file{path, agent_memory_kind};
  ByteReader in = file.reader();
  const std::string theirs = in.text(), ours = fingerprint(model);
  if (theirs != ours) {
    const TextDifference found = text_difference(theirs, ours);
    fail("{}: was made with another model ({}); the agent's model is ({})", in.what(), found.one, found.other);
  }
  const int member_count = static_cast<int>(states.size());
  (void)in.value_in("number of members", member_count, member_count);
  const detail::AgentChecks checks{model.layout};
  for (int i = 0; i < member_count; ++i) states[static_cast<std::size_t>(i)].restore(in, checks, i);
  in.check_end();
  return states;
}

}  // namespace icrl
