// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/math/matrix.hpp>

// How integers lie in memory for the kernels of all levels. Everything goes in words of 4 int8, of which one
// instruction multiplies and sums all (dpbusd, sdot). Words are little-endian. Codes are -127 .. 127; where the
// instruction wants an unsigned factor, it is stored as code + 128.
namespace icrl::detail {

inline constexpr Index int8_block = 16;  ///< outputs of a panel, tokens of a block of keys: lanes of 32 bits

/// Rounded up to whole words, or blocks.
constexpr Index whole_words(Index count) { return (count + 3) / 4 * 4; }
constexpr Index whole_blocks(Index count) { return (count + int8_block - 1) / int8_block * int8_block; }

/// A linear map. Panels of 16 outputs: (panels, words of inputs, 16, 4). Arrays of outputs have whole panels, zero
/// beyond the last output.
struct Int8MapView {
  const std::int8_t* panels;
  const std::int32_t* offsets;  ///< 128 times the sum of an output's codes, which undoes the + 128 of inputs
  const float *scales, *bias;
  Index words, outputs;
};

/// Rows of inputs, stored as code + 128, each with one scale.
struct Int8Rows {
  const std::uint8_t* codes;
  Index stride;  ///< bytes between rows
  const float* scales;
  Index count;
};

/// The keys and values of one head in one layer of a stream.
struct Int8Head {
  std::uint8_t* keys;   ///< (blocks, words of the head, 16 tokens, 4), stored as code + 128
  float* key_scales;    ///< (whole blocks of tokens)
  std::int8_t* values;  ///< (words of tokens, head size in whole blocks, 4 tokens)
  float* value_scales;  ///< (whole blocks of tokens)
  Index size;           ///< D
};

/// Memory of one call: (whole blocks of tokens) each.
struct Int8AttentionScratch {
  float* scores;
  std::uint8_t* weights;  ///< two bytes per token
};

/// What the sum of all integer weights of one attention may not exceed, so that sums of 127 times them fit 32 bits;
/// half a unit per token for rounding stays free.
inline constexpr float int8_weight_budget = 14680064.0f;
inline constexpr float int8_max_weight = 32767.0f;

/// Rows whose largest number is smaller than this are zero: the quotient of 127 and it must not overflow.
inline constexpr float int8_least = 7.888609e-31f;  // 2^-100

}  // namespace icrl::detail
