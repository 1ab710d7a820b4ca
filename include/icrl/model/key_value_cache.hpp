// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/large_pages.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/stream_attention.hpp>

namespace icrl {

/// What a transformer remembers of one stream, from an anchor on: the keys and values of at most `context` steps in
/// every layer, each laid out as `StreamKeyValues` says.
template <std::floating_point S>
class KeyValueCache {
public:
  /// Numbers between two caches that lie side by side. Were equal places of theirs a multiple of a page apart, they
  /// would compete for the same few lines of a CPU's cache.
  static constexpr std::size_t gap = 4352 / sizeof(S);

  explicit KeyValueCache(const TransformerConfig& config)
      : KeyValueCache{config, zeros_in_large_pages<S>(number_count(config))} {}

  /// `count` empty caches side by side in one block of memory, so that small ones fill large pages together.
  [[nodiscard]] static std::vector<KeyValueCache> side_by_side(const TransformerConfig& config, std::size_t count) {
    const std::size_t stride = number_count(config) + gap;
    const std::shared_ptr<S[]> block = zeros_in_large_pages<S>(count, stride);
    std::vector<KeyValueCache> caches;
    caches.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      caches.push_back(KeyValueCache{config, std::shared_ptr<S[]>{block, block.get() + i * stride}});
    return caches;
  }

  KeyValueCache(const KeyValueCache& other)
      : width_{other.width_},
        token_capacity_{other.token_capacity_},
        tokens_per_step_{other.tokens_per_step_},
        token_count_{other.token_count_},
        size_{other.size_},
        numbers_{zeros_in_large_pages<S>(other.size_)} {
    std::copy_n(other.numbers_.get(), size_, numbers_.get());
  }
  /// One of the same size stays where it is in memory.
  KeyValueCache& operator=(const KeyValueCache& other) {
    if (numbers_ == nullptr || size_ != other.size_) return *this = KeyValueCache{other};
    width_ = other.width_;
    token_capacity_ = other.token_capacity_;
    tokens_per_step_ = other.tokens_per_step_;
    token_count_ = other.token_count_;
    std::copy_n(other.numbers_.get(), size_, numbers_.get());
    return *this;
  }
  KeyValueCache(KeyValueCache&&) noexcept = default;
  KeyValueCache& operator=(KeyValueCache&&) noexcept = default;
  ~KeyValueCache() = default;

  /// Steps remembered.
  [[nodiscard]] int length() const { return static_cast<int>(token_count_ / tokens_per_step_); }
  [[nodiscard]] Index token_count() const { return token_count_; }
  void clear() { token_count_ = 0; }

  /// All numbers, and how many steps of them count: to save a memory and to restore it.
  [[nodiscard]] std::span<S> storage() { return {numbers_.get(), size_}; }
  [[nodiscard]] std::span<const S> storage() const { return {numbers_.get(), size_}; }
  void set_length(int steps) { token_count_ = Index{steps} * tokens_per_step_; }

  /// Where a layer's keys and values lie.
  [[nodiscard]] StreamKeyValues<S> layer(Index i) {
    S* const keys = numbers_.get() + 2 * i * width_ * token_capacity_;
    return {keys, keys + width_ * token_capacity_, width_};
  }
  void add_token() { ++token_count_; }

private:
  KeyValueCache(const TransformerConfig& config, std::shared_ptr<S[]> numbers)
      : width_{config.width},
        token_capacity_{padded<S>(config.token_count())},
        tokens_per_step_{config.tokens_per_step()},
        size_{number_count(config)},
        numbers_{std::move(numbers)} {}

  /// Of all layers.
  static std::size_t number_count(const TransformerConfig& config) {
    return static_cast<std::size_t>(2 * Index{config.layer_count} * config.width * padded<S>(config.token_count()));
  }

  Index width_, token_capacity_, tokens_per_step_, token_count_ = 0;
  std::size_t size_;
  std::shared_ptr<S[]> numbers_;
};

}  // namespace icrl
