// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/int8_transformer.hpp>
#include <icrl/io/model_file.hpp>

#include "browser/tasks.hpp"

// A visitor hides something, a frozen agent looks for it. Plain C++: page and tests run the same code.
namespace browser {

/// A transformer whose attention can be looked at.
struct WatchedTransformer : icrl::CausalTransformer<float> {
  using Base = icrl::CausalTransformer<float>;

  explicit WatchedTransformer(Base model) : Base{std::move(model)} {}

  /// Of the last acting token in the last layer, mean over heads: a share per row of its window, the oldest first.
  mutable std::vector<float> attention;

  void step(std::span<const icrl::StreamInput<State>> lanes, StreamWorkspace& workspace,
            icrl::MatrixOut<float> outputs) const {
    Base::step(lanes, workspace, outputs);
    for (const auto& lane : lanes) {
      if (!lane.wants_output) continue;
      const auto& scores = workspace.scratch[scratch_of(blocks.size() - 1)].attention.scores;  // (heads, tokens)
      attention.assign(static_cast<std::size_t>(lane.state->token_count()), 0.0f);
      for (int h = 0; h < config.head_count; ++h)
        for (std::size_t t = 0; t < attention.size(); ++t)
          attention[t] += scores(h, static_cast<icrl::Index>(t)) / static_cast<float>(config.head_count);
    }
  }
};

/// A frozen model and an agent over it.
template <typename M>
struct Frozen {
  M model;
  icrl::Decoding decoding;
  icrl::InContextAgent<M> agent{model, decoding};

  Frozen(M frozen, const icrl::Decoding& how) : model{std::move(frozen)}, decoding{how} {}
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
};

/// What one step did. Floats alone, so that a page reads it as an array.
struct StepReport {
  float row, column;  ///< before the action
  float action;       ///< stay, up, right, down, left
  float reward;
  float next_row, next_column;
  float is_over;     ///< 1: the episode has ended, the next step begins another
  float remembered;  ///< steps in the window on which the agent acted, with this one
};

class Player {
public:
  /// Reads a model file of either kind. The agent begins with an empty memory.
  void load(const std::filesystem::path& path) {
    const bool is_int8 = icrl::read_model_kind(path) == icrl::Int8Transformer::kind;
    if (is_int8) {
      const auto info = icrl::read_model_info<icrl::Int8Transformer>(path);
      floats_.reset();
      integers_.emplace(icrl::load_model<icrl::Int8Transformer>(path), take(info.metadata, path));
    } else {
      const auto info = icrl::read_model_info(path);
      integers_.reset();
      floats_.emplace(WatchedTransformer{icrl::load_model<float>(path)}, take(info.metadata, path));
    }
    forget(seed_);
  }

  /// A room whose goal is that cell, row * 9 + column. A new task: nothing is remembered.
  void hide_goal(int goal) {
    const icrl::DarkRooms rooms;
    icrl::check_tasks(rooms, std::array{goal}, "room");
    world_ = rooms.make(goal);
    oracle_return_ = rooms.oracle_return(goal);
    const icrl::TaskSplit split = room_split(model_seed_);
    was_trained_on_ = std::find(split.train.begin(), split.train.end(), goal) != split.train.end();
    forget(seed_);
  }
  /// A room with a key and a door. Throws Error where they are in one cell.
  void hide_key_and_door(int key, int door) {
    const icrl::KeyToDoorRooms rooms;
    const int side = rooms.options().side;
    const icrl::KeyToDoor room{rooms.options(), {.key = {key / side, key % side}, .door = {door / side, door % side}}};
    const int task = icrl::KeyToDoorNumbering{side}.number(room.task());
    world_ = room;
    oracle_return_ = rooms.oracle_return(task);
    const icrl::TaskSplit split = key_to_door_split(model_seed_, train_count_);
    was_trained_on_ = std::find(split.train.begin(), split.train.end(), task) != split.train.end();
    forget(seed_);
  }

  /// Empties the agent's memory and begins an episode. Everything random follows from the seed.
  void forget(std::uint64_t seed) {
    seed_ = seed;
    room_rng_ = icrl::Rng{seed, 1};
    agent_rng_ = icrl::Rng{seed, 2};
    if (floats_) floats_->agent.reset();
    if (integers_) integers_->agent.reset();
    begin_episode();
  }

  /// Throws Error without a model.
  StepReport step() {
    if (floats_) return step_of(floats_->agent);
    if (integers_) return step_of(integers_->agent);
    icrl::fail("no model is loaded");
  }

  /// For a clock: lets a fresh agent act that many times, and changes nothing.
  void act_alone(int steps) {
    const World world = world_;
    const icrl::Rng room_rng = room_rng_, agent_rng = agent_rng_;
    const std::vector<float> attention{this->attention().begin(), this->attention().end()};
    const auto act = [&](auto& frozen) {
      icrl::InContextAgent fresh{frozen.model, frozen.decoding};
      for (int i = 0; i < steps; ++i) step_of(fresh);
    };
    if (floats_) act(*floats_);
    if (integers_) act(*integers_);
    if (floats_) floats_->model.attention = attention;
    world_ = world;
    room_rng_ = room_rng;
    agent_rng_ = agent_rng;
  }

  [[nodiscard]] double oracle_return() const { return oracle_return_; }
  /// Whether the model has seen histories of this very task.
  [[nodiscard]] bool was_trained_on() const { return was_trained_on_; }
  /// Of the last step, one share per remembered step; empty for a model in integers, which does not keep it.
  [[nodiscard]] std::span<const float> attention() const {
    return floats_ ? std::span<const float>{floats_->model.attention} : std::span<const float>{};
  }

private:
  using World = std::variant<icrl::DarkRoom, icrl::KeyToDoor>;

  /// Texts of a model file that its training program wrote: the temperature, and what its tasks follow from.
  [[nodiscard]] icrl::Decoding take(const icrl::Metadata& metadata, const std::filesystem::path& path) {
    const auto number = [&](const char* key, double otherwise) {
      const auto found = metadata.find(key);
      if (found == metadata.end()) return otherwise;
      const icrl::Json json = icrl::parse_json(found->second, path.string() + ": " + key);
      if (!json.is_number()) icrl::fail("{}: {} is {}, not a number", path.string(), key, found->second);
      return json.get<double>();
    };
    model_seed_ = static_cast<std::uint64_t>(number("seed", 1));
    train_count_ = static_cast<int>(number("train", 1000));
    return {.temperature = number("temperature", 1)};
  }

  void begin_episode() {
    std::visit([&](auto& world) { world.reset(room_rng_); }, world_);
  }

  template <typename Agent>
  StepReport step_of(Agent& agent) {
    return std::visit(
        [&](auto& world) {
          float observation[2], next[2], action[1];
          world.observe(observation);
          agent.act(observation, action, agent_rng_);
          const auto remembered = static_cast<float>(agent.remembered_steps());
          const icrl::StepResult result = world.step(static_cast<int>(action[0]), room_rng_);
          world.observe(next);
          agent.learn({.observation = observation,
                       .action = action,
                       .reward = result.reward,
                       .next_observation = next,
                       .terminated = result.terminated,
                       .truncated = result.truncated});
          const bool is_over = result.terminated || result.truncated;
          if (is_over) begin_episode();
          return StepReport{observation[0], observation[1],        action[0], result.reward, next[0],
                            next[1],        is_over ? 1.0f : 0.0f, remembered};
        },
        world_);
  }

  std::optional<Frozen<WatchedTransformer>> floats_;
  std::optional<Frozen<icrl::Int8Transformer>> integers_;
  World world_ = icrl::DarkRooms{}.make(0);
  double oracle_return_ = icrl::DarkRooms{}.oracle_return(0);
  bool was_trained_on_ = false;
  std::uint64_t seed_ = 1, model_seed_ = 1;
  int train_count_ = 1000;
  icrl::Rng room_rng_{1, 1}, agent_rng_{1, 2};
};

}  // namespace browser
