// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <icrl/core/target.hpp>

namespace icrl::detail {

/// What a model's tables hold, before them. Offsets are into the arrays `bytes` and `halves`. Bytes are signed, as most
/// weights are: with AVX-512 VNNI g++ 12.2 sums products of unsigned bytes that are cast to signed ones wrongly.
inline constexpr std::string_view cpp_types_text = R"icrl(
namespace detail {

/// A linear map: weights output by output. Codes of fewer than 8 bits are packed in two's complement, those of 2 bits,
/// -3, -1, 1 and 3, as (code - 1) / 2; each group begins at a byte.
struct Map {
  std::int32_t codes, group_scales;  // into bytes
  std::int32_t scales, biases;       // into halves
  std::int32_t in, out, bits, group;
  std::int32_t stride;  // bytes of codes per output
};
struct Norm {
  std::int32_t gains, biases;  // into halves
};
struct Layer {
  Norm attention_norm;
  Map qkv, output;
  Norm feed_forward_norm;
  Map up, down;
  std::int32_t heads, first_head;  // of this layer, of all
};
/// What one number of an observation or an action may be. An id lies in 0 .. high.
struct Bounds {
  float low, high;
};

}  // namespace detail
)icrl";

/// The passes of Int8Transformer, behind the tables.
inline constexpr std::string_view cpp_model_text = R"icrl(
namespace detail {

constexpr std::int32_t feature_count = observation_size + action_size + 2;
constexpr std::int32_t token_count = context_steps * tokens_per_step;

/// Number k of those in a word, whose bits are two's complement.
template <std::int32_t bits>
inline std::int32_t unpacked(std::uint32_t word, std::int32_t k) {
  return static_cast<std::int32_t>(word << (32 - bits * (k + 1))) >> (32 - bits);
}

/// The sum of weight times input over the inputs of an output, in whole numbers, for fewer than 8 bits.
template <std::int32_t bits>
inline std::int32_t packed_dot(const Map& map, std::int32_t output, const std::int8_t* x) {
  const std::int32_t group = map.group > 0 ? map.group : map.in, groups = (map.in + group - 1) / group;
  const std::int8_t* packed = bytes + map.codes + output * map.stride;
  std::int32_t total = 0;
  for (std::int32_t g = 0, i = 0; g < groups; ++g) {
    const std::int32_t end = map.in - i < group ? map.in : i + group;
    std::int32_t products = 0, inputs = 0;
    while (i < end) {  // 8 weights have a whole number of bytes
      const std::int32_t count = end - i < 8 ? end - i : 8;
      std::uint32_t word = 0;
      for (std::int32_t bit = 0; bit < count * bits; bit += 8)
        word |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(*packed++)) << bit;
      if (count == 8) {
        products += unpacked<bits>(word, 0) * x[i] + unpacked<bits>(word, 1) * x[i + 1] +
                    unpacked<bits>(word, 2) * x[i + 2] + unpacked<bits>(word, 3) * x[i + 3] +
                    unpacked<bits>(word, 4) * x[i + 4] + unpacked<bits>(word, 5) * x[i + 5] +
                    unpacked<bits>(word, 6) * x[i + 6] + unpacked<bits>(word, 7) * x[i + 7];
      } else {
        for (std::int32_t k = 0; k < count; ++k) products += unpacked<bits>(word, k) * x[i + k];
      }
      if (bits == 2)
        for (std::int32_t k = 0; k < count; ++k) inputs += x[i + k];
      i += count;
    }
    const std::int32_t sum = bits == 2 ? 2 * products + inputs : products;
    total += map.group > 0 ? sum * bytes[map.group_scales + output * groups + g] : sum;
  }
  return total;
}

inline std::int32_t dot(const Map& map, std::int32_t output, const std::int8_t* x) {
  if (map.bits == 4) return packed_dot<4>(map, output, x);
  if (map.bits == 3) return packed_dot<3>(map, output, x);
  if (map.bits == 2) return packed_dot<2>(map, output, x);
  const std::int8_t* const codes = bytes + map.codes + output * map.stride;
  std::int32_t total = 0;
  for (std::int32_t i = 0; i < map.in; ++i) total += codes[i] * x[i];
  return total;
}

/// y = x W + b, or y += x W + b, of inputs that are codes with a scale.
inline void multiply(const Map& map, const std::int8_t* x, float scale, bool adds, float* y) {
  for (std::int32_t o = 0; o < map.out; ++o) {
    const float factor = scale * (from_half(halves[map.scales + o]) * 0x1p-10f);
    const float result =
        exact_product(static_cast<float>(dot(map, o, x)), factor) + from_half(halves[map.biases + o]);
    y[o] = adds ? y[o] + result : result;
  }
}

/// The keys and values of one window. Head by head: keys (tokens, D), values (D, tokens); scales of keys, of values.
struct Context {
  std::int32_t tokens = 0;
  float scales[2 * head_total * token_count] = {};
  std::int8_t codes[(2 * head_total * token_count * head_size + 3) / 4 * 4] = {};
};

/// Runs the model, and holds the memory of a pass.
class Model {
public:
  constexpr Model() = default;

  /// Adds a step to a context that is not full.
  void run(Context& context, const float* row, bool wants_outputs) {
    for (std::int32_t token = 0; token < tokens_per_step; ++token) {
      embed(row, token, context.tokens);
      const bool is_wanted = wants_outputs && token + 1 == tokens_per_step;
      for (std::int32_t i = 0; i < layer_count; ++i)
        run_layer(layers[i], context, /*attends*/ is_wanted || i + 1 < layer_count);
      ++context.tokens;
    }
    if (wants_outputs) apply(final_norm, head, outputs);
  }

  float outputs[output_count] = {};

private:
  void embed(const float* row, std::int32_t token, std::int32_t position) {
    const bool is_fused = tokens_per_step == 1;
    for (float& number : stream_) number = 0;
    add_row(bias_row, 1);
    if (has_positions) add_row(positions_row + position, 1);
    if (is_fused || token == 2) {
      add_parts(row, observation_size, observation_row, has_observation_ids, observation_bounds, 1);
      add_row(flags_row + static_cast<std::int32_t>(row[feature_count - 1]), 1);
    }
    if (is_fused || token == 0)
      add_parts(row + observation_size, action_size, action_row, has_action_ids, action_bounds, 2);
    if (is_fused || token == 1) add_row(reward_row, reward_scale * row[feature_count - 2]);
  }
  /// Ids have a row each, and what follows the last one of `bounds`; numbers have one.
  void add_parts(const float* numbers, std::int32_t count, std::int32_t first, bool are_ids,
                 const Bounds* bounds, std::int32_t more) {
    for (std::int32_t i = 0; i < count; ++i) {
      if (are_ids) {
        add_row(first + static_cast<std::int32_t>(numbers[i]), 1);
        first += static_cast<std::int32_t>(bounds[i].high) + more;
      } else {
        add_row(first++, numbers[i]);
      }
    }
  }
  void add_row(std::int32_t row, float factor) {
    factor = factor * (from_half(halves[embedding_scales + row]) * 0x1p-10f);
    const std::int8_t* const codes = bytes + embedding_rows + row * width;
    for (std::int32_t i = 0; i < width; ++i)
      stream_[i] += exact_product(static_cast<float>(codes[i]), factor);
  }

  void run_layer(const Layer& layer, Context& context, bool attends) {
    const std::int32_t position = context.tokens, inner = layer.heads * head_size;
    apply(layer.attention_norm, layer.qkv, numbers_);
    if (has_rotary) rotate(numbers_, 2 * layer.heads, position);
    for (std::int32_t h = 0; h < 3 * layer.heads; ++h)
      head_scales_[h] = quantize(numbers_ + h * head_size, head_size, codes_ + h * head_size);
    for (std::int32_t h = 0; h < layer.heads; ++h) {
      const std::int32_t first = 2 * (layer.first_head + h) * token_count;
      std::int8_t *const keys = context.codes + first * head_size, *const values = keys + token_count * head_size;
      for (std::int32_t c = 0; c < head_size; ++c) {
        keys[position * head_size + c] = codes_[inner + h * head_size + c];
        values[c * token_count + position] = codes_[2 * inner + h * head_size + c];
      }
      float *const key_scales = context.scales + first, *const value_scales = key_scales + token_count;
      key_scales[position] = head_scales_[layer.heads + h];
      value_scales[position] = head_scales_[2 * layer.heads + h];
      if (attends)
        attend(keys, key_scales, values, value_scales, head_size, token_count, codes_ + h * head_size,
               head_scales_[h] * attention_unit, position + 1, scores_, numbers_ + h * head_size);
    }
    if (!attends) return;
    add(layer.output, inner);
    apply(layer.feed_forward_norm, layer.up, numbers_);
    for (std::int32_t i = 0; i < layer.up.out; ++i) numbers_[i] = exact_gelu(numbers_[i]);
    add(layer.down, layer.up.out);
  }

  /// to = map(norm(stream)).
  void apply(const Norm& norm, const Map& map, float* to) {
    normalize(stream_, halves + norm.gains, halves + norm.biases, width, norm_epsilon, numbers_);
    const float scale = quantize(numbers_, width, codes_);
    multiply(map, codes_, scale, /*adds*/ false, to);
  }
  /// stream += map(numbers).
  void add(const Map& map, std::int32_t size) {
    const float scale = quantize(numbers_, size, codes_);
    multiply(map, codes_, scale, /*adds*/ true, stream_);
  }

  /// Turns queries and keys as their position wants it.
  static void rotate(float* numbers, std::int32_t heads, std::int32_t position) {
    constexpr std::int32_t half = head_size / 2;
    const float *const cosines = angles + position * head_size, *const sines = cosines + half;
    for (float* x = numbers; x != numbers + heads * head_size; x += head_size) {
      for (std::int32_t i = 0; i < half; ++i) {
        const float a = x[i], b = x[half + i];
        x[i] = exact_product(a, cosines[i]) - exact_product(b, sines[i]);
        x[half + i] = exact_product(a, sines[i]) + exact_product(b, cosines[i]);
      }
    }
  }

  float stream_[width] = {}, numbers_[widest] = {}, head_scales_[3 * most_heads] = {};
  std::uint32_t scores_[token_count] = {};
  std::int8_t codes_[(widest + 3) / 4 * 4] = {};
};

}  // namespace detail
)icrl";

}  // namespace icrl::detail
