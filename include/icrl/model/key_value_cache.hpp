// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <icrl/math/matrix.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/stream_attention.hpp>

namespace icrl {

/// What a transformer remembers of one stream, from an anchor on: the keys and values of at most `context` steps in
/// every layer, each laid out as `StreamKeyValues` says.
template <std::floating_point S>
class KeyValueCache {
public:
  explicit KeyValueCache(const TransformerConfig& config)
      : width_{config.width},
        token_capacity_{padded<S>(config.token_count())},
        tokens_per_step_{config.tokens_per_step()},
        storage_{RowVector<S>::Zero(2 * Index{config.layer_count} * width_ * token_capacity_)} {}

  /// Steps remembered.
  [[nodiscard]] int length() const { return static_cast<int>(token_count_ / tokens_per_step_); }
  [[nodiscard]] Index token_count() const { return token_count_; }
  void clear() { token_count_ = 0; }

  /// All numbers, and how many steps of them count: to save a memory and to restore it.
  [[nodiscard]] std::span<S> storage() { return {storage_.data(), static_cast<std::size_t>(storage_.size())}; }
  [[nodiscard]] std::span<const S> storage() const {
    return {storage_.data(), static_cast<std::size_t>(storage_.size())};
  }
  void set_length(int steps) { token_count_ = Index{steps} * tokens_per_step_; }

  /// Where a layer's keys and values lie.
  [[nodiscard]] StreamKeyValues<S> layer(Index i) {
    S* const keys = storage_.data() + 2 * i * width_ * token_capacity_;
    return {keys, keys + width_ * token_capacity_, width_};
  }
  void add_token() { ++token_count_; }

private:
  Index width_, token_capacity_, tokens_per_step_, token_count_ = 0;
  RowVector<S> storage_;
};

}  // namespace icrl
