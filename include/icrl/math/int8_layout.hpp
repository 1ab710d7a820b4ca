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
/// beyond the last output. A sparse map leaves out words whose 16 x 4 codes are all zero: (kept words, 16, 4), those of
/// panel p from begins[p] to begins[p + 1].
struct Int8MapView {
  const std::int8_t* panels;
  const std::int32_t* offsets;  ///< 128 times the sum of an output's codes, which cancels the + 128 of inputs
  const float *scales, *bias;
  Index words, outputs;
  const std::int32_t* begins = nullptr;  ///< (panels + 1), none if the map is dense
  const std::uint16_t* kept = nullptr;   ///< (kept words), the number of each one in 0 .. words - 1

  [[nodiscard]] bool is_sparse() const { return begins != nullptr; }
};

/// The words of a panel, one after another; word i is number(i) of the map's words.
template <bool is_sparse>
struct Int8Panel {
  const std::int8_t* codes;
  const std::uint16_t* kept;
  Index count;

  Int8Panel(const Int8MapView& map, Index panel) {
    if constexpr (is_sparse) {
      const Index begin = map.begins[panel];
      codes = map.panels + begin * 4 * int8_block;
      kept = map.kept + begin;
      count = map.begins[panel + 1] - begin;
    } else {
      codes = map.panels + panel * map.words * 4 * int8_block;
      kept = nullptr;
      count = map.words;
    }
  }
  [[nodiscard]] Index number(Index i) const {
    if constexpr (is_sparse) return kept[i];
    return i;
  }
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

/// The largest allowed sum of the integer weights of one attention, so that sums of 127 times the weights fit into 32
/// bits; it leaves half a unit per token for rounding.
inline constexpr float int8_weight_budget = 14680064.0f;
inline constexpr float int8_max_weight = 32767.0f;

/// Rows whose largest number is smaller than this are treated as zero, because 127 divided by that number must not
/// overflow.
inline constexpr float int8_least = 7.888609e-31f;  // 2^-100

}  // namespace icrl::detail
