// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/large_pages.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/stream_attention.hpp>

namespace icrl {

/// A transformer's state of one stream: the keys and values of at most `context` steps in every layer, each laid out as
/// `StreamKeyValues` says.
template <std::floating_point S>
class KeyValueCache {
public:
  /// Empty, for models of this shape.
  explicit KeyValueCache(const TransformerConfig& config)
      : KeyValueCache{config, LargePageArray<S>{number_count(config)}} {}

  /// `count` empty caches side by side in memory.
  [[nodiscard]] static std::vector<KeyValueCache> side_by_side(const TransformerConfig& config, std::size_t count) {
    std::vector<KeyValueCache> caches;
    caches.reserve(count);
    for (LargePageArray<S>& numbers : LargePageArray<S>::side_by_side(count, number_count(config)))
      caches.push_back(KeyValueCache{config, std::move(numbers)});
    return caches;
  }

  /// Steps remembered.
  [[nodiscard]] int length() const { return static_cast<int>(token_count_ / tokens_per_step_); }
  [[nodiscard]] Index token_count() const { return token_count_; }
  void clear() { token_count_ = 0; }

  /// All numbers, including those that no step has written, and how many steps are valid.
  [[nodiscard]] std::span<S> storage() { return {numbers_.data(), numbers_.size()}; }
  /// The same to read only.
  [[nodiscard]] std::span<const S> storage() const { return {numbers_.data(), numbers_.size()}; }
  /// Says how many steps of `storage` are valid, at most the context.
  void set_length(int steps) { token_count_ = Index{steps} * tokens_per_step_; }

  /// Bytes: i32 length, then all numbers.
  void save(ByteWriter& out) const {
    out.value(length());
    out.values(storage());
  }
  /// Takes over what `save` wrote. Throws Error where the bytes end too soon or the length exceeds the context; after
  /// that the cache has to be cleared.
  void restore(ByteReader& in) {
    set_length(in.value_in("length of a context", 0, max_length_));
    in.values(storage());
  }

  /// Where a layer's keys and values lie.
  [[nodiscard]] StreamKeyValues<S> layer(Index i) {
    const Index begin = begins_[static_cast<std::size_t>(i)],
                half = (begins_[static_cast<std::size_t>(i) + 1] - begin) / 2;
    S* const keys = numbers_.data() + begin;
    return {keys, keys + half, half / token_capacity_};
  }
  /// Counts a token whose keys and values have been written to all layers.
  void add_token() { ++token_count_; }

private:
  KeyValueCache(const TransformerConfig& config, LargePageArray<S> numbers)
      : max_length_{config.context},
        token_capacity_{padded<S>(config.token_count())},
        tokens_per_step_{config.tokens_per_step()},
        begins_{layer_begins(config)},
        numbers_{std::move(numbers)} {}

  /// Where each layer begins in `storage()`, and where the last one ends: a layer has two arrays of its heads' numbers.
  static std::vector<Index> layer_begins(const TransformerConfig& config) {
    std::vector<Index> begins{0};
    for (int i = 0; i < config.layer_count; ++i) {
      const Index width = Index{config.heads_of(i)} * config.head_size();
      begins.push_back(begins.back() + 2 * width * padded<S>(config.token_count()));
    }
    return begins;
  }
  static std::size_t number_count(const TransformerConfig& config) {
    return static_cast<std::size_t>(layer_begins(config).back());
  }

  int max_length_;  // in steps
  Index token_capacity_, tokens_per_step_, token_count_ = 0;
  std::vector<Index> begins_;
  LargePageArray<S> numbers_;
};

}  // namespace icrl
