// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <memory>

#include <icrl/model/causal_transformer.hpp>

#include "fuzz/life.hpp"
#include "fuzz/target.hpp"
#include "support/agent_life.hpp"

namespace icrl::fuzz {

/// The memory of agents over a model of any scheme. They go on for a few contexts, and are saved and restored again.
struct AgentMemoryTarget {
  [[nodiscard]] static Bytes make(Choices choices, Rng& rng) {
    Group& group = group_for(choices);
    for (int member = 0; member < group.agents.member_count(); ++member) group.agents.reset(member);
    const int context = group.model.config.context;
    live(group.agents, 1 + rng.below(3 * context), longest_episode(context), rng);
    if (rng.chance(0.5)) {  // an act that waits for its learn
      std::vector<Rng> rngs(2, rng);
      std::vector<float> action(static_cast<std::size_t>(group.model.layout.action_size()));
      const std::vector<float> observation = any_element(group.model.layout.observation_space, rng);
      group.agents.act({.members = std::array{0}, .observations = observation, .masks = {}}, action, rngs);
    }
    return test::memory_of(group.agents);
  }

  static void run(Choices choices, Bytes file) {
    static MemoryFile memory;
    Group& group = group_for(choices);
    const bool is_repaired = !choices.once_in(64), is_renamed = !choices.once_in(64);
    if (is_repaired && is_renamed && file.size() > CheckedFile::header_size)
      (void)replace_text(file, CheckedFile::header_size, group.name);
    if (is_repaired) repair_checked_file(file);
    memory.write(file);
    InContextAgents<Model>& agents = group.agents;
    const int remembered = agents.remembered_steps(0);
    try {
      agents.restore(memory.path());
    } catch (const Error&) {
      require(agents.remembered_steps(0) == remembered, "a memory that is refused changes nothing");
      throw;
    }
    const int context = group.model.config.context;
    const bool is_saved = choices.once_in(16);
    if (is_saved) {
      const Bytes saved = test::memory_of(agents);
      memory.write(saved);
      agents.restore(memory.path());
      require(test::memory_of(agents) == saved, "a memory comes back as it was");
    }
    Rng rng = choices.rng();
    live(agents, 3 * context + 4, longest_episode(context), rng);
    require(agents.remembered_steps(0) <= context, "an agent acts by a window");
  }

private:
  using Model = CausalTransformer<float>;

  struct Group {
    Group(const TransformerConfig& config, const StepLayout& layout, int members, int contexts)
        : model{initialized(config, layout)}, name{fingerprint(model)}, agents{model, members, {}, contexts} {}

    static Model initialized(const TransformerConfig& config, const StepLayout& layout) {
      Model model{config, layout};
      Rng rng{1};
      model.initialize(rng);
      return model;
    }

    Model model;
    std::string name;
    InContextAgents<Model> agents;
  };

  /// Groups of all schemes, each made when it is first asked for.
  static Group& group_for(Choices& choices) {
    static std::array<std::unique_ptr<Group>, 64> groups;
    const int number = choices.below(64);
    std::unique_ptr<Group>& group = groups[static_cast<std::size_t>(number)];
    if (group != nullptr) return *group;
    const auto bit = [&](int i) { return (number >> i & 1) != 0; };
    const TransformerConfig config{.width = 2,
                                   .layer_count = 1,
                                   .head_count = 1,
                                   .hidden = 1,
                                   .context = bit(5) ? 7 : 4,
                                   .positions = bit(0) ? PositionScheme::rotary : PositionScheme::learned,
                                   .tokens = bit(1) ? TokenScheme::separate : TokenScheme::fused,
                                   .window_start = bit(2) ? WindowStart::anywhere : WindowStart::episode};
    StepLayout layout{Discrete{2}, Discrete{3}, bit(4)};
    if (bit(3)) layout = {Box{{-1, 0}, {1, 5}}, MultiDiscrete{{2, 3}}, bit(4)};
    group = std::make_unique<Group>(config, layout, 1 + number % 2, 2 + number / 2 % 2);
    return *group;
  }

  static int longest_episode(int context) { return context / 2; }
};
static_assert(Target<AgentMemoryTarget>);

}  // namespace icrl::fuzz
