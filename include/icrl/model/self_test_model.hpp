// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/self_test_report.hpp>

// The streaming transformer of this program against the same formulas in loops over double.
namespace icrl::detail {

/// A transformer of 3 numbers per observation, 5 actions and fused tokens, implemented a second time: step by step, in
/// double, with plain loops. Shares no kernel with the library.
class PlainTransformer {
public:
  explicit PlainTransformer(const CausalTransformer<float>& model) : config_{model.config} {
    for (const auto& p : parameters_of(model)) {
      weights.emplace_back();
      for (const float w : p.numbers()) weights.back().push_back(static_cast<double>(w));
    }
    clear();
  }

  /// All tensors, in the order of `parameters_of`, each row after row.
  std::vector<std::vector<double>> weights;

  void clear() {
    keys_.assign(static_cast<std::size_t>(config_.layer_count), {});
    values_ = keys_;
    position_ = 0;
  }

  /// The outputs (5) of the next step, whose features are `row`.
  std::vector<double> step(std::span<const float> row) {
    next_ = 0;
    std::vector<double> stream = embed(row);
    for (std::size_t layer = 0; layer < keys_.size(); ++layer) {
      add(attend(linear(norm(stream), 3 * width()), layer), stream);
      std::vector<double> hidden_numbers = linear(norm(stream), static_cast<std::size_t>(config_.hidden_size()));
      for (double& x : hidden_numbers) x = gelu(x);
      add(linear(hidden_numbers, width()), stream);
    }
    ++position_;
    return linear(norm(stream), 5);
  }

  static double gelu(double x) {
    return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  }

private:
  using Numbers = std::vector<double>;

  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(config_.width); }
  const Numbers& next_weights() { return weights[next_++]; }

  static void add(const Numbers& from, Numbers& to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }
  void add_row(double factor, const Numbers& table, std::size_t row, Numbers& to) const {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * table[row * width() + i];
  }

  /// Features: 3 numbers, the action's id, the reward, the flag.
  Numbers embed(std::span<const float> row) {
    Numbers token(width(), 0.0);
    add_row(1, next_weights(), static_cast<std::size_t>(row[3]), token);
    const Numbers& observation = next_weights();
    for (std::size_t i = 0; i < 3; ++i) add_row(static_cast<double>(row[i]), observation, i, token);
    add_row(static_cast<double>(row[4]), next_weights(), 0, token);
    add_row(1, next_weights(), static_cast<std::size_t>(row[5]), token);
    add_row(1, next_weights(), 0, token);
    const Numbers& positions = next_weights();
    if (config_.positions == PositionScheme::learned) add_row(1, positions, position_, token);
    return token;
  }

  Numbers norm(const Numbers& x) {
    const Numbers &gain = next_weights(), &bias = next_weights();
    const double count = static_cast<double>(x.size());
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / count;
    for (const double v : x) variance += (v - mean) * (v - mean) / count;
    Numbers y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * gain[i] + bias[i];
    return y;
  }

  Numbers linear(const Numbers& x, std::size_t size) {
    const Numbers &weight = next_weights(), &bias = next_weights();
    Numbers y = bias;
    for (std::size_t k = 0; k < x.size(); ++k)
      for (std::size_t i = 0; i < size; ++i) y[i] += x[k] * weight[k * size + i];
    return y;
  }

  void rotate(double* head, std::size_t size) const {
    for (std::size_t i = 0; i < size / 2; ++i) {
      const double angle =
          static_cast<double>(position_) * std::pow(10000.0, -2 * static_cast<double>(i) / static_cast<double>(size));
      const double a = head[i], b = head[i + size / 2];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + size / 2] = a * std::sin(angle) + b * std::cos(angle);
    }
  }

  /// All heads of one layer and the map after them; `qkv` holds queries, keys and values.
  Numbers attend(Numbers qkv, std::size_t layer) {
    const auto heads = static_cast<std::size_t>(config_.head_count), size = width() / heads;
    for (std::size_t h = 0; h < 2 * heads && config_.positions == PositionScheme::rotary; ++h)
      rotate(qkv.data() + h * size, size);
    keys_[layer].emplace_back(qkv.begin() + config_.width, qkv.begin() + 2 * config_.width);
    values_[layer].emplace_back(qkv.begin() + 2 * config_.width, qkv.end());
    Numbers mixed(width(), 0.0), weight(position_ + 1);
    for (std::size_t h = 0; h < heads; ++h) {
      double total = 0;
      for (std::size_t t = 0; t <= position_; ++t) {
        double score = 0;
        for (std::size_t i = h * size; i < (h + 1) * size; ++i) score += qkv[i] * keys_[layer][t][i];
        weight[t] = std::exp(score / std::sqrt(static_cast<double>(size)));
        total += weight[t];
      }
      for (std::size_t t = 0; t <= position_; ++t)
        for (std::size_t i = h * size; i < (h + 1) * size; ++i) mixed[i] += weight[t] / total * values_[layer][t][i];
    }
    return linear(mixed, width());
  }

  TransformerConfig config_;
  std::vector<std::vector<Numbers>> keys_, values_;  // by layer, then by token
  std::size_t position_ = 0, next_ = 0;
};

/// A model for PlainTransformer with weights large enough that every one matters.
inline CausalTransformer<float> self_test_model(const TransformerConfig& config) {
  CausalTransformer<float> model{config,
                                 {.observation_space = Box{{-1, -1, -1}, {1, 1, 1}}, .action_space = Discrete{5}}};
  Rng rng{7};
  for (const auto& p : parameters_of(model)) {
    const double stddev = p.is_matrix ? 1 / std::sqrt(1.0 + static_cast<double>(p.rows)) : 0.2;
    for (float& w : p.numbers()) w += static_cast<float>(stddev * (2 * rng.uniform() - 1) * std::numbers::sqrt3);
  }
  return model;
}

/// Features (steps, 6) of an artificial history.
inline std::vector<float> self_test_features(int steps) {
  Rng rng{8};
  std::vector<float> rows;
  for (int t = 0; t < steps; ++t) {
    for (int i = 0; i < 3; ++i) rows.push_back(static_cast<float>(2 * rng.uniform() - 1));
    rows.push_back(t == 0 ? 5.0f : static_cast<float>(rng.below(5)));
    rows.push_back(t == 0 ? 0.0f : static_cast<float>(rng.uniform()));
    rows.push_back(t == 0 ? 3.0f : static_cast<float>(rng.below(2)));
  }
  return rows;
}

/// A step of the streaming model, as CausalTransformer::step has it.
using StepFunction =
    FunctionRef<void(const CausalTransformer<float>&, std::span<const StreamInput<KeyValueCache<float>>>,
                     CausalTransformer<float>::StreamWorkspace&, Matrix<float>&)>;

/// Fills the contexts of `lane_count` lanes, lane i from step i on, and compares every output. If there are many lanes,
/// every third one does not act in turn. All memory is larger than `step` needs, to catch writes past the end.
inline void check_steps(const TransformerConfig& config, int lane_count, StepFunction step) {
  constexpr const char* part = "streaming steps";
  using Model = CausalTransformer<float>;
  const Model model = self_test_model(config);
  std::vector<PlainTransformer> plain(static_cast<std::size_t>(lane_count), PlainTransformer{model});
  std::vector<Model::State> caches = model.make_states(plain.size());
  const Index heads = config.head_count, tokens = padded<float>(config.token_count()), outputs_count = 5;
  Model::StreamWorkspace workspace;
  workspace.scratch.resize(1);
  Matrix<float>& scores = workspace.scratch[0].attention.scores;
  scores.resize(heads + 2, tokens);
  model.reserve(workspace, lane_count + 1);
  Matrix<float> outputs(lane_count + 1, outputs_count);
  const std::vector<float> features = self_test_features(config.context + lane_count);

  for (int t = 0; t < config.context + lane_count - 1; ++t) {
    const int first = std::max(0, t - config.context + 1), last = std::min(t + 1, lane_count);
    const auto acts = [&](int lane) { return lane_count == 1 || (t + lane) % 3 != 0; };
    std::vector<StreamInput<Model::State>> lanes;
    for (int lane = first; lane < last; ++lane)
      lanes.push_back({&caches[static_cast<std::size_t>(lane)], features.data() + 6 * t, acts(lane)});
    const auto bytes = [](Index count) { return static_cast<std::size_t>(count) * sizeof(float); };
    fill_margin(&scores(heads, 0), bytes(2 * tokens));
    fill_margin(outputs.data(), bytes(outputs.size()));
    step(model, lanes, workspace, outputs);

    const auto place = [&](int lane) {
      return fmt::format("step {} of context {} (width {}, {} heads, lane {} of {})", t - lane + 1, config.context,
                         config.width, config.head_count, lane - first + 1, last - first);
    };
    for (int lane = first; lane < last; ++lane) {
      const auto expected =
          plain[static_cast<std::size_t>(lane)].step(std::span{features}.subspan(static_cast<std::size_t>(6 * t), 6));
      const Index row = lane - first;
      if (!acts(lane)) {
        check_untouched(part, &outputs(row, 0), bytes(outputs_count),
                        [&] { return "the row of outputs of a lane that does not act, at " + place(lane) + ","; });
        continue;
      }
      for (Index i = 0; i < outputs_count; ++i) {
        check_near(part, static_cast<double>(outputs(row, i)), expected[static_cast<std::size_t>(i)], 2e-5,
                   [&] { return fmt::format("output {} of {}", i, place(lane)); });
      }
    }
    check_untouched(part, &scores(heads, 0), bytes(2 * tokens),
                    [&] { return "the memory after the scores of attention, at " + place(first) + ","; });
    check_untouched(part, &outputs(last - first, 0), bytes(outputs_count),
                    [&] { return "the memory after the outputs, at " + place(first) + ","; });
  }
}

}  // namespace icrl::detail
