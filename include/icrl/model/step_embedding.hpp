// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// Turns the rows of a `StepLayout` into tokens. Every part of a step is a row of a table (ids) or a product with a map
/// (numbers); a fused token is the sum of all of them, a separate one of its own. What a space lacks is an empty list.
template <std::floating_point S>
struct StepEmbedding {
  std::vector<Matrix<S>> observation_tables;  ///< one (ids, C) a component
  std::vector<Matrix<S>> action_tables;       ///< one (ids + 1, C) a component; the last row is "no action yet"
  std::vector<Matrix<S>> observation_maps;    ///< (observation numbers, C), at most one
  std::vector<Matrix<S>> action_maps;         ///< (action numbers, C), at most one
  RowVector<S> reward;                        ///< (C), times the scaled reward
  Matrix<S> flags;                            ///< (8, C), by flag id
  RowVector<S> bias;                          ///< (C), in every token
  Matrix<S> positions;                        ///< (tokens of a full context, C); no rows with rotary positions
  S reward_scale;                             ///< of the configuration; not a weight

  StepEmbedding(const TransformerConfig& config, const StepLayout& layout)
      : reward{RowVector<S>::Zero(config.width)},
        flags{Matrix<S>::Zero(StepFlag::count, config.width)},
        bias{RowVector<S>::Zero(config.width)},
        positions{
            Matrix<S>::Zero(config.positions == PositionScheme::learned ? config.token_count() : 0, config.width)},
        reward_scale{static_cast<S>(config.reward_scale)} {
    for (const int count : id_counts(layout.observation_space)) add_zeros(observation_tables, count);
    for (const int count : id_counts(layout.action_space)) add_zeros(action_tables, count + 1);
    if (!has_ids(layout.observation_space)) add_zeros(observation_maps, layout.observation_size());
    if (!has_ids(layout.action_space)) add_zeros(action_maps, layout.action_size());
  }

  /// The parts of a step that one token carries.
  struct Parts {
    bool action, reward, observation;
  };
  static Parts parts_of(TokenScheme scheme, int token) {
    return scheme == TokenScheme::fused ? Parts{true, true, true} : Parts{token == 0, token == 1, token == 2};
  }

  /// Writes the token that carries `parts` of the step `row` and stands at `position` to `out` (C numbers). Not
  /// inlined, as `backward`: one call a token costs nothing, and a copy of all kinds of parts at every call long to
  /// compile.
  [[gnu::noinline]] void forward(const float* row, const StepLayout& layout, Parts parts, Index position,
                                 S* out) const {
    const Index width = bias.size();
    std::copy_n(bias.data(), width, out);
    if (positions.rows() > 0) add_scaled(width, S(1), row_data(positions, position), out);
    visit_parts(*this, row, layout, parts,
                [&](const S* weights, S factor) { add_scaled(width, factor, weights, out); });
  }

  /// Adds to `grad`; dtoken (C) is the derivative of what forward wrote.
  [[gnu::noinline]] void backward(const float* row, const StepLayout& layout, Parts parts, Index position,
                                  const S* dtoken, StepEmbedding& grad) const {
    const Index width = bias.size();
    add_scaled(width, S(1), dtoken, grad.bias.data());
    if (positions.rows() > 0) add_scaled(width, S(1), dtoken, row_data(grad.positions, position));
    visit_parts(grad, row, layout, parts, [&](S* weights, S factor) { add_scaled(width, factor, dtoken, weights); });
  }

  void initialise(double stddev, Rng& rng) {
    for (const Parameter<S>& p : parameters_of(*this))
      if (p.name != "bias") fill_normal(p.numbers(), stddev, rng);
  }

  static constexpr auto parameters() {
    using E = StepEmbedding;
    return std::tuple{Field{"observation_tables", &E::observation_tables},
                      Field{"action_tables", &E::action_tables},
                      Field{"observation_maps", &E::observation_maps},
                      Field{"action_maps", &E::action_maps},
                      Field{"reward", &E::reward},
                      Field{"flags", &E::flags},
                      Field{"bias", &E::bias},
                      Field{"positions", &E::positions}};
  }

private:
  [[gnu::noinline]] void add_zeros(std::vector<Matrix<S>>& list, Index rows) const {
    list.push_back(Matrix<S>::Zero(rows, bias.size()));
  }

  /// out += factor * in. Not inlined for every kind of part.
  [[gnu::noinline]] static void add_scaled(Index width, S factor, const S* in, S* out) {
    for (Index i = 0; i < width; ++i) out[i] += factor * in[i];
  }

  /// Calls `visit(weights, factor)` for every row of weights that a token adds up; the one place that knows which those
  /// are.
  template <typename Self, typename Visit>
  static void visit_parts(Self& self, const float* row, const StepLayout& layout, Parts parts, Visit&& visit) {
    const auto tables = [&](auto& list, const float* ids) {
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto id = static_cast<Index>(ids[i]);
        ICRL_ASSERT(id >= 0 && id < list[i].rows(), "step embedding: an id lies outside its table");
        visit(row_data(list[i], id), S(1));
      }
    };
    const auto maps = [&](auto& list, const float* values) {
      for (auto& map : list)
        for (Index i = 0; i < map.rows(); ++i) visit(row_data(map, i), static_cast<S>(values[i]));
    };
    if (parts.observation) {
      tables(self.observation_tables, row);
      maps(self.observation_maps, row);
      visit(row_data(self.flags, static_cast<Index>(row[layout.flag_offset()])), S(1));
    }
    if (parts.action) {
      tables(self.action_tables, row + layout.action_offset());
      maps(self.action_maps, row + layout.action_offset());
    }
    if (parts.reward) visit(self.reward.data(), self.reward_scale * static_cast<S>(row[layout.reward_offset()]));
  }
};

}  // namespace icrl
