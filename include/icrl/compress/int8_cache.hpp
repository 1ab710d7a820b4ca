// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/large_pages.hpp>
#include <icrl/math/int8_scalar.hpp>
#include <icrl/model/transformer_config.hpp>

namespace icrl {

/// An integer transformer's state of one stream: the keys and values of at most `context` steps in every layer as int8,
/// with one scale per token and head for the key, and one for the value.
class Int8Cache {
public:
  /// Empty, for models of this shape.
  explicit Int8Cache(const TransformerConfig& config) : Int8Cache{config, LargePageArray<float>{float_count(config)}} {}

  /// `count` empty caches side by side in memory.
  [[nodiscard]] static std::vector<Int8Cache> side_by_side(const TransformerConfig& config, std::size_t count) {
    std::vector<Int8Cache> caches;
    caches.reserve(count);
    for (LargePageArray<float>& memory : LargePageArray<float>::side_by_side(count, float_count(config)))
      caches.push_back(Int8Cache{config, std::move(memory)});
    return caches;
  }

  /// Steps remembered.
  [[nodiscard]] int length() const { return static_cast<int>(token_count_ / tokens_per_step_); }
  [[nodiscard]] Index token_count() const { return token_count_; }
  void clear() { token_count_ = 0; }

  /// Bytes: i32 length, then token by token, layer by layer, head by head: D key codes, D value codes (i8), f32 scales
  /// of both.
  void save(ByteWriter& out) const {
    out.value(length());
    std::vector<std::int8_t> codes(static_cast<std::size_t>(2 * head_size_));
    for (Index t = 0; t < token_count_; ++t) {
      for (Index h = 0; h < begins_.back(); ++h) {
        const detail::Int8Head from = at(h);
        for (Index c = 0; c < head_size_; ++c) {
          codes[static_cast<std::size_t>(c)] = static_cast<std::int8_t>(*key_place(from, t, c) ^ 128);
          codes[static_cast<std::size_t>(head_size_ + c)] = *value_place(from, t, c);
        }
        out.values(std::span<const std::int8_t>{codes});
        out.value(from.key_scales[t]);
        out.value(from.value_scales[t]);
      }
    }
  }

  /// Takes over what `save` wrote. Throws Error where the bytes end too soon, the length exceeds the context, or a
  /// number is outside the range that `put` writes; after that the cache must be cleared.
  void restore(ByteReader& in) {
    clear();
    const Index tokens = Index{in.value_in("length of a context", 0, max_length_)} * tokens_per_step_;
    std::vector<std::int8_t> codes(static_cast<std::size_t>(2 * head_size_));
    std::vector<std::int8_t> key(static_cast<std::size_t>(detail::whole_words(head_size_)), 0);
    for (Index t = 0; t < tokens; ++t) {
      for (Index h = 0; h < begins_.back(); ++h) {
        in.values(std::span<std::int8_t>{codes});
        const auto lowest = std::min_element(codes.begin(), codes.end());
        if (*lowest == -128) fail("{}: a code of token {} is -128, outside -127 .. 127", in.what(), t);
        std::copy_n(codes.begin(), head_size_, key.begin());
        const auto key_scale = scale_in(in, t), value_scale = scale_in(in, t);
        put(detail::ScalarInt8{}, at(h), t, key.data(), key_scale, codes.data() + head_size_, value_scale);
      }
    }
    token_count_ = tokens;
  }

  /// The keys and values of head `h` of a layer.
  [[nodiscard]] detail::Int8Head head(Index layer, Index h) { return at(begins_[static_cast<std::size_t>(layer)] + h); }

  /// Writes token t of a head. `key` has whole words of codes, zero beyond the head's size; `value` has D codes.
  template <typename Kernels>
  static void put(Kernels kernels, const detail::Int8Head& to, Index t, const std::int8_t* key, float key_scale,
                  const std::int8_t* value, float value_scale) {
    for (Index c = 0; c < to.size; c += 4) {
      std::uint32_t word;
      std::memcpy(&word, key + c, sizeof word);
      word ^= 0x80808080u;  // code + 128
      std::memcpy(key_place(to, t, c), &word, sizeof word);
    }
    kernels.put_value(value, to.size, t % 4, value_place(to, t - t % 4, 0));
    to.key_scales[t] = key_scale;
    to.value_scales[t] = value_scale;
  }

  /// Call this after the token of all heads of all layers has been written.
  void add_token() { ++token_count_; }

private:
  Int8Cache(const TransformerConfig& config, LargePageArray<float> memory)
      : max_length_{config.context},
        tokens_per_step_{config.tokens_per_step()},
        padded_tokens_{detail::whole_blocks(config.token_count())},
        head_size_{config.head_size()},
        begins_{head_begins(config)},
        memory_{std::move(memory)} {}

  /// The number of each layer's first head, and of all heads.
  static std::vector<Index> head_begins(const TransformerConfig& config) {
    std::vector<Index> begins{0};
    for (int i = 0; i < config.layer_count; ++i) begins.push_back(begins.back() + config.heads_of(i));
    return begins;
  }
  static Index key_floats(Index padded_tokens, Index head_size) {
    return padded_tokens * detail::whole_words(head_size) / 4;
  }
  static Index value_floats(Index padded_tokens, Index head_size) {
    return padded_tokens * detail::whole_blocks(head_size) / 4;
  }
  /// Of one head: keys, values, and two scales per token.
  static Index head_floats(Index padded_tokens, Index head_size) {
    return key_floats(padded_tokens, head_size) + value_floats(padded_tokens, head_size) + 2 * padded_tokens;
  }
  static std::size_t float_count(const TransformerConfig& config) {
    return static_cast<std::size_t>(head_begins(config).back() *
                                    head_floats(detail::whole_blocks(config.token_count()), config.head_size()));
  }

  /// Its pointers are for kernels, which take one type for reading and writing.
  [[nodiscard]] detail::Int8Head at(Index h) const {
    float* const keys = const_cast<float*>(memory_.data()) + h * head_floats(padded_tokens_, head_size_);
    float* const values = keys + key_floats(padded_tokens_, head_size_);
    float* const scales = values + value_floats(padded_tokens_, head_size_);
    return {reinterpret_cast<std::uint8_t*>(keys), scales, reinterpret_cast<std::int8_t*>(values),
            scales + padded_tokens_, head_size_};
  }

  static std::uint8_t* key_place(const detail::Int8Head& head, Index t, Index c) {
    return head.keys + t / 16 * detail::whole_words(head.size) * 16 + c / 4 * 64 + t % 16 * 4 + c % 4;
  }
  static std::int8_t* value_place(const detail::Int8Head& head, Index t, Index c) {
    return head.values + t / 4 * 4 * detail::whole_blocks(head.size) + 4 * c + t % 4;
  }

  static float scale_in(ByteReader& in, Index t) {
    const auto scale = in.value<float>();
    if (!std::isfinite(scale) || std::signbit(scale))
      fail("{}: the scale of token {}'s keys or values is {}, it must be finite and not negative", in.what(), t, scale);
    return scale;
  }

  int max_length_;  // in steps
  Index tokens_per_step_, padded_tokens_, head_size_, token_count_ = 0;
  std::vector<Index> begins_;
  LargePageArray<float> memory_;
};

}  // namespace icrl
