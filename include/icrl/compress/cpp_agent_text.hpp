// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <icrl/core/target.hpp>

namespace icrl::detail {

/// The agent, behind the model: the memory of StaggeredContexts and StepStream, the draws of ExactActions.
inline constexpr std::string_view cpp_agent_text = R"icrl(
namespace detail {

/// One of `count` ids, by the softmax of logits / temperature.
inline std::int32_t draw(const float* logits, std::int32_t count, Rng& rng) {
  std::int32_t best = 0;
  for (std::int32_t k = 1; k < count; ++k)
    if (logits[k] > logits[best]) best = k;
  if (is_greedy) return best;
  const auto weight_of = [&](std::int32_t k) {
    const double weight =
        exact_exp2(static_cast<double>(logits[k] - logits[best]) / temperature * 1.4426950408889634);
    return weight < min_p ? 0.0 : weight;
  };
  double total = 0;
  for (std::int32_t k = 0; k < count; ++k) total += weight_of(k);
  double left = exact_product(rng.uniform(), total);
  for (std::int32_t k = 0; k < count; ++k) {
    const double weight = weight_of(k);
    left -= weight;
    if (left < 0 && weight > 0) return k;
  }
  return best;
}

/// Whether each number lies within its bounds, and is whole where it has to be.
template <typename Number>
bool is_inside(const Number* numbers, const Bounds* bounds, std::int32_t count, bool is_whole) {
  for (std::int32_t i = 0; i < count; ++i) {
    const auto number = static_cast<float>(numbers[i]);
    if (!(number >= bounds[i].low && number <= bounds[i].high)) return false;
    if (is_whole && static_cast<float>(static_cast<std::int32_t>(number)) != number) return false;
  }
  return true;
}

}  // namespace detail

enum class Status : std::uint8_t {
  ok,
  bad_observation,   // outside its space, or missing at the end of an episode; nothing has changed
  bad_action,        // outside its space; nothing has changed
  bad_reward,        // not finite; nothing has changed
  out_of_turn,       // act or observe, then learn; nothing has changed
  episode_too_long,  // an episode has outgrown the context, and no window may begin inside it; reset
  not_finite         // the model's outputs are; reset
};

/// Learns by remembering: acts, is told what came of it, and acts better. The weights never change. The zero state is
/// that of a new agent, so that one with static storage lies in .bss.
class Agent {
public:
  constexpr Agent() = default;

  /// Forgets everything, for a new task.
  void reset() {
    while (open_count_ > 0) evict();
    episode_length_ = 0;
    is_in_episode_ = has_previous_ = awaits_learn_ = has_closing_row_ = false;
  }

  /// Chooses an action for an observation.
  [[nodiscard]] Status act(const Observation& observation, Action& action, Rng& rng) {
    const Status status = observe(observation);
    if (status != Status::ok) return status;
    const float* logits = model_.outputs;
    for (std::int32_t i = 0; i < detail::action_size; ++i) {
      const detail::Bounds& bounds = detail::action_bounds[i];
      if (detail::has_action_ids) {
        const std::int32_t count = static_cast<std::int32_t>(bounds.high) + 1;
        action[i] = static_cast<ActionNumber>(detail::draw(logits, count, rng));
        logits += count;
      } else {
        const float mean = model_.outputs[i] + 0.0f;
        action[i] = static_cast<ActionNumber>(mean < bounds.low    ? bounds.low
                                              : bounds.high < mean ? bounds.high
                                                                   : mean);
      }
    }
    return Status::ok;
  }

  /// The first half of `act`, for an action that is another's: the agent learns by watching.
  [[nodiscard]] Status observe(const Observation& observation) {
    using namespace detail;
    if (awaits_learn_) return Status::out_of_turn;
    if (!is_inside(observation, observation_bounds, observation_size, is_observation_whole))
      return Status::bad_observation;
    const std::int32_t flags = (is_in_episode_ ? 0 : episode_start) | (has_previous_ ? 0 : no_previous);
    const bool is_stuck = open_count_ == 0 || (open_count_ == 1 && is_full(0));
    if (is_stuck && !can_refill() && !starts_anywhere && (flags & episode_start) == 0) return Status::episode_too_long;

    if (has_closing_row_) {
      refill();
      std::memcpy(next_row(closing), closing_row_, sizeof closing_row_);
      has_closing_row_ = false;
      feed(/*wants_outputs*/ false);
    }
    refill();
    write_row(next_row(flags), observation, flags);
    awaits_learn_ = true;
    feed(/*wants_outputs*/ true);
    for (const float output : model_.outputs)
      if (!is_finite(output)) return Status::not_finite;
    return Status::ok;
  }

  /// What came of an action. Models with closing tokens need the observation behind an episode's last action.
  [[nodiscard]] Status learn(const Action& action, float reward, bool ends_episode = false,
                             const Observation* next_observation = nullptr) {
    using namespace detail;
    if (!awaits_learn_) return Status::out_of_turn;
    if (!is_inside(action, action_bounds, action_size, has_action_ids)) return Status::bad_action;
    if (!is_finite(reward)) return Status::bad_reward;
    const bool closes = has_closing_token && ends_episode;
    if (closes && (next_observation == nullptr ||
                   !is_inside(*next_observation, observation_bounds, observation_size, is_observation_whole)))
      return Status::bad_observation;
    for (std::int32_t i = 0; i < action_size; ++i) previous_action_[i] = static_cast<float>(action[i]);
    previous_reward_ = reward;
    has_previous_ = true;
    is_in_episode_ = !ends_episode;
    awaits_learn_ = false;
    if (closes) {
      write_row(closing_row_, *next_observation, closing);
      has_previous_ = false;
      has_closing_row_ = true;
    }
    return Status::ok;
  }

  /// What the model said to the last observation: logits, or means and log-deviations.
  [[nodiscard]] const float* outputs() const { return model_.outputs; }
  /// Steps in the window that the agent acts by.
  [[nodiscard]] std::int32_t remembered_steps() const { return open_count_ == 0 ? 0 : length(0); }

private:
  static constexpr std::int32_t episode_start = 1, no_previous = 2, closing = 4;  // bits of the flag that ends a row

  // ---- contexts: several, opened one after another, take every row; the oldest acts and is evicted when full ----

  [[nodiscard]] std::int32_t slot(std::int32_t age) const { return (oldest_ + age) % detail::context_count; }
  [[nodiscard]] std::int32_t length(std::int32_t age) const {
    return contexts_[slot(age)].tokens / detail::tokens_per_step;
  }
  [[nodiscard]] bool is_full(std::int32_t age) const { return length(age) >= detail::context_steps; }
  /// Whether the last episode leaves room for another row; only windows that start at episodes keep it.
  [[nodiscard]] bool can_refill() const { return episode_length_ > 0 && episode_length_ < detail::context_steps; }

  void evict() {
    contexts_[slot(0)].tokens = 0;
    oldest_ = (oldest_ + 1) % detail::context_count;
    --open_count_;
  }

  /// Evicts the oldest context if it is full. If that leaves none, shows the last episode to an empty one.
  void refill() {
    if (open_count_ > 0 && is_full(0)) evict();
    if (open_count_ > 0 || !can_refill()) return;
    ++open_count_;
    write_first_row(rows_[0]);
    for (std::int32_t t = 0; t < episode_length_; ++t)
      model_.run(contexts_[slot(0)], t == 0 ? first_row_ : rows_[t], /*wants_outputs*/ false);
  }

  /// Where the row with these flags has to be written.
  float* next_row(std::int32_t flags) {
    if (detail::starts_anywhere) return rows_[row_ = 0];
    if ((flags & episode_start) != 0) episode_length_ = 0;
    row_ = episode_length_;
    if (episode_length_ < detail::context_steps) ++episode_length_;
    return rows_[row_];
  }

  /// Shows the row to every context that takes it.
  void feed(bool wants_outputs) {
    const float* const row = rows_[row_];
    const auto flags = static_cast<std::int32_t>(row[detail::feature_count - 1]);
    const bool may_start = detail::starts_anywhere || (flags & episode_start) != 0;
    const bool opens = open_count_ == 0 || (may_start && open_count_ < detail::context_count &&
                                            length(open_count_ - 1) * detail::context_count >= detail::context_steps);
    if ((flags & closing) == 0 && opens) {
      ++open_count_;
      write_first_row(row);
    }
    for (std::int32_t age = 0; age < open_count_; ++age) {
      detail::Context& context = contexts_[slot(age)];
      model_.run(context, context.tokens == 0 ? first_row_ : row, wants_outputs && age == 0);
    }
  }

  // ---- rows: observation, previous action, previous reward, flags ----

  void write_row(float* row, const Observation& observation, std::int32_t flags) const {
    using namespace detail;
    for (std::int32_t i = 0; i < observation_size; ++i) row[i] = static_cast<float>(observation[i]);
    for (std::int32_t i = 0; i < action_size; ++i) row[observation_size + i] = previous_action_[i];
    row[feature_count - 2] = previous_reward_;
    row[feature_count - 1] = static_cast<float>(flags);
    if ((flags & no_previous) != 0) forget_previous(row);
  }
  static void forget_previous(float* row) {
    using namespace detail;
    for (std::int32_t i = 0; i < action_size; ++i)
      row[observation_size + i] = has_action_ids ? action_bounds[i].high + 1 : 0.0f;
    row[feature_count - 2] = 0;
    row[feature_count - 1] = static_cast<float>(static_cast<std::int32_t>(row[feature_count - 1]) | no_previous);
  }
  /// The row as a context that begins with it sees it.
  void write_first_row(const float* row) {
    std::memcpy(first_row_, row, sizeof first_row_);
    forget_previous(first_row_);
  }

  detail::Context contexts_[detail::context_count] = {};
  float rows_[detail::starts_anywhere ? 1 : detail::context_steps + 1][detail::feature_count] = {};
  float first_row_[detail::feature_count] = {}, closing_row_[detail::feature_count] = {};
  float previous_action_[detail::action_size] = {}, previous_reward_ = 0;
  detail::Model model_;
  std::int32_t oldest_ = 0, open_count_ = 0, row_ = 0, episode_length_ = 0;
  bool is_in_episode_ = false, has_previous_ = false, awaits_learn_ = false, has_closing_row_ = false;
};
)icrl";

}  // namespace icrl::detail
