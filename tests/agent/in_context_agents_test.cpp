// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/in_context_agents.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/checked_file.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/run.hpp>

#include "support/agent_life.hpp"
#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/special_numbers.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Model = CausalTransformer<float>;
static_assert(GroupLearner<InContextAgents<Model>>);

std::vector<Rng> generators(int count) {
  std::vector<Rng> rngs;
  for (int i = 0; i < count; ++i) rngs.emplace_back(3, static_cast<std::uint64_t>(i));
  return rngs;
}

/// Some of the members, at least one, in any order.
std::vector<int> some_members(int count, Rng& rng) {
  std::vector<int> members;
  for (int i = 0; i < count; ++i)
    if (rng.chance(0.6)) members.insert(members.begin() + rng.below(static_cast<int>(members.size()) + 1), i);
  if (members.empty()) members.push_back(rng.below(count));
  return members;
}

/// Members that live made-up lives of their own, each at its own pace.
struct Lives {
  Lives(const StepLayout& layout, int count, int steps, int longest_episode) : next(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i)
      lives.push_back(fake_life(layout, steps, longest_episode, 20 + static_cast<std::uint64_t>(i)));
  }
  [[nodiscard]] const FakeStep& now(int member) const {
    const auto i = static_cast<std::size_t>(member);
    return lives[i][next[i] % lives[i].size()];
  }
  [[nodiscard]] std::vector<float> observations_of(const std::vector<int>& members) const {
    std::vector<float> all;
    for (const int member : members)
      all.insert(all.end(), now(member).observation.begin(), now(member).observation.end());
    return all;
  }
  void go_on(int member) { ++next[static_cast<std::size_t>(member)]; }

  std::vector<std::vector<FakeStep>> lives;
  std::vector<std::size_t> next;
};

/// The largest difference from recomputation while random members act, for ten contexts each and more.
template <typename M>
double worst_difference(const M& model, int context_count, int longest_episode) {
  constexpr int count = 2;
  InContextAgents agents{model, count, {}, context_count};
  Lives lives{model.layout, count, 10 * model.config.context, longest_episode};
  std::vector<Onlooker<M>> onlookers(count, Onlooker<M>{model});
  std::vector<Rng> rngs = generators(count);
  std::vector<float> actions(static_cast<std::size_t>(count * model.layout.action_size()));
  Rng chooser{4};
  double worst = 0;
  for (int t = 0; t < 16 * model.config.context; ++t) {
    const std::vector<int> members = some_members(count, chooser);
    const auto size = members.size() * static_cast<std::size_t>(model.layout.action_size());
    agents.act({members, lives.observations_of(members), {}}, std::span{actions}.first(size), rngs);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const int member = members[i];
      const FakeStep& step = lives.now(member);
      Onlooker<M>& onlooker = onlookers[static_cast<std::size_t>(member)];
      onlooker.observe(step.observation);
      worst =
          worse_of(worst, onlooker.difference_to(agents.outputs(static_cast<int>(i)), agents.remembered_steps(member)));
      agents.learn(member, transition_of(step));
      onlooker.learn(step);
      lives.go_on(member);
    }
  }
  return worst;
}

template <typename S>
void check_recomputation() {
  for (const auto& [context, context_count] : {std::pair{5, 3}, std::pair{12, 2}})
    for (const TransformerConfig& config : acting_schemes(context))
      for (const bool closing_token : {false, true})
        for (const StepLayout& layout : {id_layout(closing_token), box_layout(closing_token)}) {
          const bool is_free = config.window_start == WindowStart::anywhere;
          const auto model = small_model<S>(config, layout);
          INFO(describe(model));
          CHECK(worst_difference(model, context_count, is_free ? 2 * context : context) <= streaming_tolerance<S>);
        }
}

/// Whether `group` and agents of their own do the same, bit for bit, while random members act.
bool is_like_single_agents(const Model& model, int count, int rounds, int longest_episode) {
  InContextAgents group{model, count};
  std::vector<InContextAgent<Model>> singles(static_cast<std::size_t>(count), InContextAgent<Model>{model});
  Lives lives{model.layout, count, 60, longest_episode};
  std::vector<Rng> rngs = generators(count), own_rngs = rngs;
  const auto size = static_cast<std::size_t>(model.layout.action_size());
  std::vector<float> actions(static_cast<std::size_t>(count) * size), action(size);
  Rng chooser{5};
  bool is_same = true;
  for (int t = 0; t < rounds; ++t) {
    const std::vector<int> members = some_members(count, chooser);
    group.act({members, lives.observations_of(members), {}}, std::span{actions}.first(members.size() * size), rngs);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const int member = members[i];
      InContextAgent<Model>& single = singles[static_cast<std::size_t>(member)];
      single.act(lives.now(member).observation, action, own_rngs[static_cast<std::size_t>(member)]);
      is_same = is_same && std::ranges::equal(group.outputs(static_cast<int>(i)), single.outputs());
      is_same =
          is_same && std::equal(action.begin(), action.end(), actions.begin() + static_cast<std::ptrdiff_t>(i * size));
      is_same = is_same && group.remembered_steps(member) == single.remembered_steps();
      single.learn(transition_of(lives.now(member)));
      group.learn(member, transition_of(lives.now(member)));
      lives.go_on(member);
    }
  }
  return is_same;
}

/// As small as a model can be, and its memory with it.
Model tiny_model(bool closing_token = true, std::uint64_t seed = 1) {
  return small_model({.width = 2, .layer_count = 1, .head_count = 1, .hidden = 1, .context = 3},
                     {.observation_space = Discrete{2}, .action_space = Discrete{2}, .closing_token = closing_token},
                     seed);
}

/// Lets the first member live the steps of `life`: '.' a step, '!' the last one of an episode, '?' one whose outcome is
/// not told.
void live(InContextAgents<Model>& agents, std::string_view life) {
  std::vector<Rng> rngs = generators(1);
  std::array<float, 1> action{};
  const std::array observation{1.0f};
  for (const char step : life) {
    agents.act({.members = std::array{0}, .observations = observation, .masks = {}}, action, rngs);
    if (step == '?') continue;
    agents.learn(0, {.observation = observation,
                     .action = action,
                     .reward = 0.5f,
                     .next_observation = observation,
                     .terminated = step == '!'});
  }
}

/// The file with the checksum that it should have, as one who forges a memory would write it.
std::vector<char> with_right_crc(std::vector<char> bytes) {
  constexpr std::size_t crc_offset = 12;
  const std::uint32_t crc = crc32c(std::as_bytes(std::span{bytes}.subspan(CheckedFile::header_size)));
  std::memcpy(bytes.data() + crc_offset, &crc, sizeof crc);
  return bytes;
}

}  // namespace

TEST_CASE("A group's outputs equal recomputation over what each member remembers, in float",
          "[agent][streaming][slow]") {
  check_recomputation<float>();
}

TEST_CASE("A group's outputs equal recomputation over what each member remembers, in double",
          "[agent][streaming][slow]") {
  check_recomputation<double>();
}

TEST_CASE("What an agent remembers is a window as training cuts it", "[agent]") {
  constexpr int context = 12;
  for (const bool closing_token : {false, true}) {
    const auto model = small_model(small_config(context), id_layout(closing_token));
    const auto life = fake_life(model.layout, 60, 5, 9);
    std::vector<std::size_t> row_starts;  // of the episodes, among the rows
    InContextAgent agent{model};
    Rng rng{1};
    std::array<float, 1> action{};
    std::size_t rows = 0;
    for (std::size_t t = 0; t < life.size(); ++t) {
      if (t == 0 || life[t - 1].is_last) row_starts.push_back(rows);
      agent.act(life[t].observation, action, rng);
      ++rows;
      const auto episode =
          std::find(row_starts.begin(), row_starts.end(), rows - static_cast<std::size_t>(agent.remembered_steps()));
      REQUIRE(episode != row_starts.end());
      auto left = episode - row_starts.begin();

      LearningHistory history{
          {.observation_space = model.layout.observation_space, .action_space = model.layout.action_space}};
      HistoryRecorder recorder{history};
      for (std::size_t s = 0; s <= t; ++s) {
        const bool is_last = life[s].is_last || s == t;
        if (left > 0) {
          left -= is_last ? 1 : 0;
          continue;
        }
        if (!recorder.is_open()) recorder.begin_episode(life[s].observation);
        recorder.step(life[s].action, life[s].reward, life[s].next_observation, false, is_last);
      }
      ContextBatch window;
      WindowSampler{{history.view()}, model.layout, {.context = context, .history_start_fraction = 1}}.sample(1, Rng{1},
                                                                                                              window);
      Model::Cache cache;
      Matrix<float> outputs(agent.remembered_steps(), 3);
      model.forward(window.features_of(0), agent.remembered_steps(), cache, outputs);
      const RowVector<float> last = outputs.bottomRows(1);
      REQUIRE(difference<float>(last, agent.outputs()) <= streaming_tolerance<float>);

      agent.learn(transition_of(life[t]));
      if (life[t].is_last && closing_token) ++rows;
    }
  }
}

TEST_CASE("Members do in a group, bit for bit, what they would do alone", "[agent]") {
  for (const int count : {1, 2, 5, 13}) {
    TransformerConfig config = small_config(9);
    INFO(count << " members");
    CHECK(is_like_single_agents(small_model(config, id_layout(true)), count, 60, 9));
    config.tokens = TokenScheme::separate;
    config.positions = PositionScheme::rotary;
    config.window_start = WindowStart::anywhere;
    CHECK(is_like_single_agents(small_model(config, box_layout(false)), count, 60, 14));
  }
}

TEST_CASE("In environments a group writes the histories of agents alone", "[agent]") {
  const Corridor env{.cells = 4, .horizon = 7, .slip = 0.2};
  const auto model =
      small_model(small_config(10), {.observation_space = env.observation_space(), .action_space = env.action_space()});
  const std::vector<Rng> rngs = generators(5);
  InContextAgents group{model, 5};

  const auto histories = run_group(group, std::vector<Corridor>(5, env), 12, rngs);

  for (std::size_t i = 0; i < 5; ++i) {
    InContextAgent agent{model};
    const auto alone = run(agent, env, 12, rngs[i]);
    REQUIRE(histories[i].step_count() == alone.step_count());
    for (int e = 0; e < 12; ++e) {
      REQUIRE(histories[i].episode(e).length() == alone.episode(e).length());
      for (int t = 0; t < alone.episode(e).length(); ++t) {
        std::array<float, 1> in_group{}, by_itself{};
        histories[i].episode(e).action(t, in_group);
        alone.episode(e).action(t, by_itself);
        REQUIRE(in_group == by_itself);
      }
    }
  }
}

TEST_CASE("Agents that are saved anywhere in an episode go on bit for bit in others", "[agent]") {
  for (const bool closing_token : {false, true}) {
    TransformerConfig config = small_config(5);
    config.window_start = closing_token ? WindowStart::episode : WindowStart::anywhere;
    const auto model = small_model(config, id_layout(closing_token));
    const TemporaryFolder folder;
    const auto path = folder / "memory";
    InContextAgents agents{model, 2, {}, 3};
    const auto life = fake_life(model.layout, 16, 4, 6), other_life = fake_life(model.layout, 30, 4, 7);
    std::vector<Rng> rngs = generators(2);
    std::array<float, 2> actions{};
    const auto act = [&](InContextAgents<Model>& group, const FakeStep& step) {
      group.act({.members = std::array{0}, .observations = step.observation, .masks = {}}, std::span{actions}.first(1),
                rngs);
      return copied(group.outputs(0));
    };
    std::vector<std::vector<float>> said;       // to every step of the life
    std::vector<InContextAgents<Model>> heirs;  // one for each moment between a step's parts
    for (const FakeStep& step : other_life) agents.learn(1, transition_of(step));
    const auto pass_on = [&] {
      agents.save(path);
      heirs.emplace_back(model, 2, Decoding{}, 3);
      for (std::size_t i = 0; i < heirs.size() % 11; ++i) heirs.back().learn(0, transition_of(other_life[i]));
      heirs.back().restore(path);
      CHECK(heirs.back().remembered_steps(0) == agents.remembered_steps(0));
      CHECK(heirs.back().remembered_steps(1) == agents.remembered_steps(1));
    };

    for (const FakeStep& step : life) {
      said.push_back(act(agents, step));
      pass_on();
      agents.learn(0, transition_of(step));
      pass_on();
    }

    for (std::size_t moment = 0; moment < heirs.size(); ++moment) {
      INFO("saved at moment " << moment << ", closing token " << closing_token);
      if (moment % 2 == 0) heirs[moment].learn(0, transition_of(life[moment / 2]));
      for (std::size_t t = moment / 2 + 1; t < life.size(); ++t) {
        REQUIRE(act(heirs[moment], life[t]) == said[t]);
        heirs[moment].learn(0, transition_of(life[t]));
      }
    }
  }
}

TEST_CASE("Restored members tell whether they wait for an act or a learn", "[agent]") {
  const auto model = small_model(small_config(7), id_layout(true));
  const TemporaryFolder folder;
  InContextAgents agents{model, 3}, heirs{model, 3};
  std::vector<Rng> rngs = generators(3);
  std::array<float, 2> actions{};
  const std::array members{0, 2};
  const std::array observations{1.0f, 2.0f, 3.0f, 4.0f};
  const std::array sound{1.0f, 2.0f};
  agents.act({.members = members, .observations = observations, .masks = {}}, actions, rngs);
  agents.learn(2, {.observation = sound, .action = std::array{1.0f}, .next_observation = sound});

  agents.save(folder / "memory");
  heirs.restore(folder / "memory");

  CHECK(heirs.awaits_learn(0));
  CHECK_FALSE(heirs.awaits_learn(1));
  CHECK_FALSE(heirs.awaits_learn(2));
  heirs.learn(0, {.observation = sound, .action = std::array{1.0f}, .next_observation = sound});
  CHECK_FALSE(heirs.awaits_learn(0));
  agents.reset(0);
  CHECK_FALSE(agents.awaits_learn(0));
}

TEST_CASE("A memory file cut at any byte or with any bit flipped is an Error and changes nothing", "[agent]") {
  const auto model = tiny_model();
  const TemporaryFolder folder;
  const auto path = folder / "memory";
  InContextAgents agents{model, 1}, others{model, 1};
  live(agents, "..!");
  live(others, ".?");
  const auto bytes = memory_of(agents), kept = memory_of(others);
  REQUIRE(bytes != kept);
  const auto error_of_bytes = [&](const std::vector<char>& damaged) {
    write_bytes(path, damaged);
    return error_of([&] { others.restore(path); });
  };

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(error_of_bytes({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).empty());
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    REQUIRE_FALSE(error_of_bytes(with_flipped_bit(bytes, bit)).empty());
  }

  CHECK(memory_of(others) == kept);
  CHECK(error_of_bytes(bytes).empty());
  CHECK(memory_of(others) == bytes);
}

TEST_CASE("A forged memory with a right checksum is refused and changes nothing, or is a memory; never a crash",
          "[agent]") {
  const TemporaryFolder folder;
  const auto path = folder / "memory";
  std::vector<Rng> rngs = generators(1);
  std::array<float, 1> action{};
  const std::array observation{1.0f};
  const auto act = [&](InContextAgents<Model>& agents) {
    agents.act({.members = std::array{0}, .observations = observation, .masks = {}}, action, rngs);
    return copied(agents.outputs(0));
  };
  // An episode whose closing row is still to be seen, and one that will be fed again because its context is full.
  for (const std::string_view life : {".!", "!.."}) {
    const auto model = tiny_model(life == ".!");
    InContextAgents agents{model, 1}, before{model, 1};
    live(agents, life);
    live(before, "..");
    auto undisturbed = before;
    const auto said = act(undisturbed);
    const auto bytes = memory_of(agents);
    const std::size_t first_byte = 24 + 4 + fingerprint(model).size();  // behind what names the model
    int restored = 0, refused = 0;

    for (std::size_t bit = 8 * first_byte; bit < 8 * bytes.size(); ++bit) {
      write_bytes(path, with_right_crc(with_flipped_bit(bytes, bit)));
      auto victims = before;
      if (!error_of([&] { victims.restore(path); }).empty()) {
        ++refused;
        REQUIRE(act(victims) == said);
        continue;
      }
      ++restored;
      (void)error_of([&] {  // numbers that are not finite may only be found here
        for (int t = 0; t < 4; ++t) {
          victims.learn(0, {.observation = observation,
                            .action = observation,
                            .next_observation = observation,
                            .terminated = t == 1});
          (void)act(victims);
        }
      });
    }

    CHECK(restored > 0);
    CHECK(refused > 0);
  }
}

TEST_CASE("A memory that no agent could have is refused", "[agent]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const TemporaryFolder folder;
  const auto path = folder / "memory";
  // Of a model whose only member has seen an episode end: flags (3), previous action and reward, flag, closing row (4),
  // contexts, rows of the last episode
  const auto forged = [&](bool closing_token, std::size_t place, auto number) {
    const auto model = tiny_model(closing_token);
    InContextAgents agents{model, 1};
    live(agents, "..!");
    auto bytes = memory_of(agents);
    const std::size_t first = 24 + 4 + fingerprint(model).size() + 4;
    std::memcpy(bytes.data() + first + place, &number, sizeof number);
    write_bytes(path, with_right_crc(bytes));
    return error_of([&] { agents.restore(path); });
  };
  constexpr std::size_t reward = 3 + 4, has_closing_row = reward + 4, closing_row = has_closing_row + 1;
  REQUIRE(forged(true, reward, 0.5f).empty());

  CHECK(has(forged(true, reward, nan), "previous reward is nan"));
  CHECK(has(forged(true, closing_row + 8, nan), "reward of the closing row is nan"));
  CHECK(has(forged(false, has_closing_row, std::uint8_t{1}), "has a closing row, but the model's layout has none"));
  CHECK(
      has(forged(true, 0, std::uint8_t{1}), "has a closing row, which ends an episode, but its episode has not ended"));
  CHECK(
      has(forged(true, 1, std::uint8_t{0}), "has a closing row, which ends an episode, but its episode has not ended"));

  // A row of the last episode: observation, action, reward, flags. Two contexts of one layer hold 2 x 2 x 16 numbers
  // each, of which one is open.
  constexpr std::size_t cache = 2 * 2 * 16 * 4, row = closing_row + 16 + 4 + 4 + 4 + cache + 4;
  CHECK(has(forged(true, row + 8, nan), "row 0 of the last episode, (1, 2, nan, 3), does not fit the model's layout"));
  CHECK(has(forged(true, row, 2.0f), "row 0 of the last episode, (2, 2, 0, 3), does not fit the model's layout"));
}

TEST_CASE("Memory of another model, group or number of contexts is refused", "[agent]") {
  const auto model = tiny_model(true, 1), other = tiny_model(true, 2);
  const auto wider = small_model({.width = 4, .layer_count = 1, .head_count = 1, .context = 3}, model.layout);
  const TemporaryFolder folder;
  const auto path = folder / "memory";
  InContextAgents{model, 2}.save(path);
  const auto refusal = [&](auto agents) { return error_of([&] { agents.restore(path); }); };

  CHECK(refusal(InContextAgents{model, 2}).empty());
  const std::string weights = refusal(InContextAgents{other, 2});
  CHECK(has(weights, "agent memory \"" + path.string() + "\": was made with another model"));
  CHECK(has(weights, fmt::format("(weights {:08x}); the agent's model is (weights {:08x})", weights_checksum(model),
                                 weights_checksum(other))));
  CHECK(has(refusal(InContextAgents{wider, 2}), "width 4"));
  CHECK(has(refusal(InContextAgents{model, 3}), "number of members is 2, it must lie in 3 .. 3"));
  CHECK(has(refusal(InContextAgents{model, 2, {}, 3}), "number of contexts is 2, it must lie in 3 .. 3"));
  write_bytes(path, {});
  CHECK(has(refusal(InContextAgents{model, 2}), "not a file of this kind"));
}

TEST_CASE("Only allowed actions are taken, and the best of them by the greedy", "[agent]") {
  const StepLayout layout{.observation_space = Discrete{3}, .action_space = Discrete{6}};
  const auto model = small_model(small_config(8), layout);
  for (const double temperature : {0.0, 1.0, 100.0}) {
    InContextAgents agents{model, 2, Decoding{temperature}};
    std::vector<Rng> rngs = generators(2);
    std::array<float, 2> actions{};
    Rng chooser{7};
    for (int t = 0; t < 200; ++t) {
      std::array<std::uint8_t, 12> masks{};
      for (std::uint8_t& allowed : masks) allowed = chooser.chance(0.3) ? std::uint8_t{1} : std::uint8_t{0};
      masks[static_cast<std::size_t>(chooser.below(6))] = masks[static_cast<std::size_t>(6 + chooser.below(6))] = 255;
      const std::array observations{static_cast<float>(chooser.below(3)), static_cast<float>(chooser.below(3))};

      agents.act({.members = std::array{0, 1}, .observations = observations, .masks = masks}, actions, rngs);

      for (std::size_t i = 0; i < 2; ++i) {
        const auto action = static_cast<std::size_t>(actions[i]);
        REQUIRE(masks[6 * i + action] != 0);
        const auto said = agents.outputs(static_cast<int>(i));
        for (std::size_t k = 0; temperature == 0 && k < 6; ++k)
          if (masks[6 * i + k] != 0) REQUIRE(said[action] >= said[k]);
        const std::span<const float> observation{&observations[i], 1}, taken{&actions[i], 1};
        agents.learn(
            static_cast<int>(i),
            {.observation = observation, .action = taken, .next_observation = observation, .truncated = t % 4 == 3});
      }
    }
  }
}

TEST_CASE("What cannot be is refused by name, and nobody in the group changes", "[agent]") {
  const auto ids = small_model(small_config(3), id_layout(true));
  InContextAgents agents{ids, 3};
  std::vector<Rng> rngs = generators(3);
  std::array<float, 2> actions{};
  const std::array sound{1.0f, 2.0f};
  const std::array told{1.0f};
  for (const int member : {1, 2, 2, 2})
    agents.learn(member, {.observation = sound, .action = told, .reward = 1, .next_observation = sound});
  const auto before = memory_of(agents);
  const auto rng_before = rngs[0].state();
  const auto act = [&](std::array<float, 4> observations, std::vector<std::uint8_t> masks = {}, int second = 0) {
    const std::array members{1, second};
    return error_of([&] { agents.act({members, observations, masks}, actions, rngs); });
  };
  const auto learn = [&](Transition transition) { return error_of([&] { agents.learn(0, transition); }); };

  CHECK(has(act({1, 2, 1, not_a_number}), "member 0 observes [1, nan], outside multi_discrete(4, 5): id 1 is nan"));
  CHECK(has(act({1, 2, 4, 0}), "member 0 observes [4, 0]"));
  CHECK(has(act({1, 2, 0.5f, 0}), "member 0 observes [0.5, 0]"));
  CHECK(has(act({1, 2, -1, 0}), "member 0 observes [-1, 0]"));
  CHECK(has(act({not_a_number, 2, 1, 2}), "member 1 observes [nan, 2]"));
  CHECK(has(act({1, 2, 1, 2}, {}, 2), "outgrown the context of 3 steps"));
  CHECK(has(learn({.observation = sound, .action = std::array{3.0f}, .next_observation = sound}),
            "learn() of member 0 was given action [3], outside discrete(3)"));
  CHECK(has(learn({.observation = sound, .action = std::array{not_a_number}, .next_observation = sound}),
            "action [nan]"));
  CHECK(has(learn({.observation = sound, .action = sound, .next_observation = sound}), "action [1, 2]"));
  CHECK(has(learn({.observation = sound, .action = told, .reward = not_a_number, .next_observation = sound}),
            "learn() of member 0 was given the reward nan, it must be finite"));
  CHECK(has(learn({.observation = sound, .action = told, .reward = -infinity, .next_observation = sound}),
            "the reward -inf"));
  CHECK(has(learn({.observation = std::array{1.0f, 5.0f}, .action = told, .next_observation = sound}),
            "observes [1, 5]"));
  CHECK(
      has(learn({.observation = sound, .action = told, .next_observation = std::array{9.0f, 9.0f}, .terminated = true}),
          "observes [9, 9]"));
  CHECK(has(error_of([&] { agents.learn(2, {.observation = sound, .action = told, .next_observation = sound}); }),
            "outgrown"));
  CHECK(has(act({1, 2, 1, 2}, {1, 0, 0, 0, 0, 0}), "the action mask of member 0 allows no action"));
  CHECK(memory_of(agents) == before);
  CHECK(rngs[0].state() == rng_before);
  CHECK(agents.remembered_steps(0) == 0);
  CHECK(agents.remembered_steps(1) == 1);

  CHECK(act({1, 2, 1, 2}, {1, 0, 0, 0, 1, 0}).empty());
  CHECK(actions == std::array{0.0f, 1.0f});
}

TEST_CASE("An agent of pictures names the one number that is wrong, in a short text", "[agent]") {
  constexpr std::size_t size = 84 * 84;
  Box picture{std::vector<float>(size, 0), std::vector<float>(size, 1)};
  const auto model = small_model(small_config(3), {picture, Discrete{2}});
  InContextAgents agents{model, 1};
  std::vector<float> seen(size, 0.125f);
  seen[4321] = not_a_number;
  const std::array told{1.0f};

  const std::string value =
      error_of([&] { agents.learn(0, {.observation = seen, .action = told, .next_observation = seen}); });
  picture.high[4321] = 255;
  const std::string space = error_of([&] { agents.check_spaces(picture, Discrete{2}); });

  CHECK(has(value, "number 4321 is nan, outside 0 .. 1"));
  CHECK(value.size() < 300);
  CHECK(has(space, "number 4321 lies in 0 .. 1 and in 0 .. 255"));
  CHECK(space.size() < 600);
}

TEST_CASE("Numbers that are not finite or leave their box are refused", "[agent]") {
  const auto model = small_model(small_config(3), box_layout());
  InContextAgents agents{model, 1};
  const auto before = memory_of(agents);
  const auto learn = [&](std::array<float, 2> observation, std::array<float, 2> action) {
    return error_of(
        [&] { agents.learn(0, {.observation = observation, .action = action, .next_observation = observation}); });
  };

  CHECK(has(learn({0, not_a_number}, {0, 0}), "member 0 observes [0, nan], outside box([-1, -1], [1, 1])"));
  CHECK(has(learn({0, infinity}, {0, 0}), "observes [0, inf]"));
  CHECK(has(learn({0, 1.5f}, {0, 0}), "observes [0, 1.5]"));
  CHECK(has(learn({0, 0}, {0, -2.5f}), "action [0, -2.5]"));
  CHECK(has(learn({0, 0}, {not_a_number, 0}), "action [nan, 0]"));
  CHECK(memory_of(agents) == before);
  CHECK(learn({0, 1}, {-2, 2}).empty());
}

TEST_CASE("What one member's huge observation did is forgotten with a reset, and others go on", "[agent]") {
  const StepLayout layout{.observation_space = Box{{-infinity}, {infinity}}, .action_space = Discrete{3}};
  TransformerConfig config = small_config(8);
  config.window_start = WindowStart::anywhere;
  auto model = small_model(config, layout);
  model.embedding.observation_maps[0] *= 20;
  InContextAgents<Model> agents{model, 2};
  auto rngs = generators(2);
  std::array<float, 2> actions{};
  const int both[] = {0, 1}, first[] = {0};
  const std::array<float, 2> observations{0, 3e38f};
  CHECK(has(error_of([&] { agents.act({both, observations, {}}, actions, rngs); }), "not finite"));
  for (const float huge : {1e20f, 1e30f}) {  // finite throughout, but for the variance of a row
    InContextAgents<Model> others{model, 1};
    const std::array<float, 1> observed{huge};
    std::array<float, 1> action{};
    CHECK(has(error_of([&] { others.act({first, observed, {}}, action, rngs); }), "not finite"));
  }

  agents.reset(0);
  agents.reset(1);
  for (int t = 0; t < 20; ++t) {
    agents.act({first, std::span{observations}.first(1), {}}, std::span{actions}.first(1), rngs);
    agents.learn(0, {.observation = std::span{observations}.first(1),
                     .action = std::span{actions}.first(1),
                     .reward = 0,
                     .next_observation = std::span{observations}.first(1)});
  }
  CHECK(agents.remembered_steps(0) >= 4);
}

TEST_CASE("A model whose weights are not finite is found out by its first word", "[agent]") {
  auto model = small_model(small_config(3), id_layout());
  model.head.weight(3, 1) = infinity;
  InContextAgents agents{model, 1};
  std::vector<Rng> rngs = generators(1);
  std::array<float, 1> action{};

  CHECK(has(error_of([&] {
              agents.act({.members = std::array{0}, .observations = std::array{1.0f, 1.0f}, .masks = {}}, action, rngs);
            }),
            "the model's outputs are not finite"));
}

TEST_CASE("A group of nobody is refused", "[agent]") {
  const auto model = small_model(small_config(3), id_layout());

  CHECK(has(error_of([&] { InContextAgents(model, 0); }), "member_count is 0, it must be at least 1"));
  CHECK(has(error_of([&] { InContextAgents(model, 1, {}, 1); }), "context_count is 1"));
}

TEST_CASE("Who watches learns what the one learns who acts", "[agent]") {
  for (const bool closing_token : {false, true}) {
    const auto model = small_model(small_config(9), id_layout(closing_token));
    InContextAgents agents{model, 2};
    std::vector<Rng> rngs = generators(2);
    std::array<float, 1> action{};
    for (const FakeStep& step : fake_life(model.layout, 40, 6, 3)) {
      agents.act({.members = std::array{0}, .observations = step.observation, .masks = {}}, action, rngs);
      const auto said = copied(agents.outputs(0));
      agents.learn(0, transition_of(step));
      agents.learn(1, transition_of(step));
      REQUIRE(copied(agents.outputs(0)) == said);
      REQUIRE(agents.remembered_steps(1) == agents.remembered_steps(0));
    }
  }
}

TEST_CASE("A member that forgets is like new, and the others are not touched", "[agent]") {
  const auto model = small_model(small_config(8), id_layout(true));
  InContextAgents agents{model, 2}, fresh{model, 1};
  std::vector<Rng> rngs = generators(2);
  std::array<float, 2> actions{};
  for (const FakeStep& step : fake_life(model.layout, 20, 5, 12))
    for (const int member : {0, 1}) agents.learn(member, transition_of(step));
  FakeStep in_between = fake_life(model.layout, 1, 1, 14)[0];
  in_between.is_last = false;  // the first member forgets in the middle of an episode
  agents.learn(0, transition_of(in_between));
  const int remembered = agents.remembered_steps(1);
  REQUIRE(remembered > 0);

  agents.reset(0);

  CHECK(agents.remembered_steps(0) == 0);
  CHECK(agents.remembered_steps(1) == remembered);
  for (const FakeStep& step : fake_life(model.layout, 20, 5, 13)) {
    fresh.act({.members = std::array{0}, .observations = step.observation, .masks = {}}, std::span{actions}.first(1),
              rngs);
    agents.act({.members = std::array{0}, .observations = step.observation, .masks = {}}, std::span{actions}.first(1),
               rngs);
    REQUIRE(copied(agents.outputs(0)) == copied(fresh.outputs(0)));
    fresh.learn(0, transition_of(step));
    agents.learn(0, transition_of(step));
  }
}

TEST_CASE("Acting and learning leave the weights alone", "[agent]") {
  const auto model = small_model(small_config(6), id_layout(true));
  const std::uint32_t before = weights_checksum(model);
  InContextAgents agents{model, 3};
  std::vector<Rng> rngs = generators(3);
  std::array<float, 3> actions{};

  for (const FakeStep& step : fake_life(model.layout, 60, 6, 1))
    for (const int member : {0, 1, 2}) {
      agents.act({.members = std::array{member}, .observations = step.observation, .masks = {}},
                 std::span{actions}.first(1), rngs);
      agents.learn(member, transition_of(step));
    }

  CHECK(weights_checksum(model) == before);
  auto changed = model;
  changed.head.bias[0] += 1;
  CHECK(weights_checksum(changed) != before);
}

TEST_CASE("Acting and learning allocate nothing, however many contexts are open", "[agent]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  for (const int width : {64, 256})
    for (const bool closing_token : {false, true}) {
      const StepLayout layout = id_layout(closing_token);
      const auto model = small_model({.width = width, .layer_count = 2, .head_count = 4, .context = 8}, layout);
      constexpr int count = 3;
      InContextAgents agents{model, count};
      Lives lives{layout, count, 200, 8};
      std::vector<Rng> rngs = generators(count);
      std::array<float, count> actions{};
      const std::array members{0, 1, 2};
      std::array<float, 2 * count> observations{};
      const auto go_on = [&](int steps) {
        const AllocationCount allocations;
        for (int t = 0; t < steps; ++t) {
          for (const int member : members)
            std::copy_n(lives.now(member).observation.begin(), 2, observations.begin() + 2 * member);
          agents.act({.members = members, .observations = observations, .masks = {}}, actions, rngs);
          for (const int member : members) {
            agents.learn(member, transition_of(lives.now(member)));
            lives.go_on(member);
          }
        }
        return allocations.count();
      };

      INFO("width " << width << ", closing token " << closing_token);
      CHECK(go_on(150) == 0);
    }
}
