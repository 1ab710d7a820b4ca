// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/product_kernel.hpp>

namespace icrl::detail {

/// Transposes 8 x 8 numbers of 4 bytes: out[k * out_stride + j] = in[j * in_stride + k].
template <typename In>
void transpose_8x8(const In* in, Index in_stride, In* out, Index out_stride) {
  using Eight = std::uint32_t __attribute__((vector_size(32)));
  Eight row[8], pair[8], quad[8];
  for (Index j = 0; j < 8; ++j) std::memcpy(&row[j], in + j * in_stride, sizeof(Eight));
  for (Index j = 0; j < 4; ++j) {
    pair[2 * j] = __builtin_shufflevector(row[2 * j], row[2 * j + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pair[2 * j + 1] = __builtin_shufflevector(row[2 * j], row[2 * j + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (Index half = 0; half < 2; ++half) {
    for (Index odd = 0; odd < 2; ++odd) {
      const Eight low = pair[4 * half + odd], high = pair[4 * half + 2 + odd];
      quad[4 * half + odd] = __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13);
      quad[4 * half + 2 + odd] = __builtin_shufflevector(low, high, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (Index k = 0; k < 4; ++k) {
    const Eight top = __builtin_shufflevector(quad[k], quad[4 + k], 0, 1, 2, 3, 8, 9, 10, 11);
    const Eight bottom = __builtin_shufflevector(quad[k], quad[4 + k], 4, 5, 6, 7, 12, 13, 14, 15);
    std::memcpy(out + k * out_stride, &top, sizeof(Eight));
    std::memcpy(out + (4 + k) * out_stride, &bottom, sizeof(Eight));
  }
}

/// Copies `depth` x `width` numbers of b into rows `panel` long, with the incomplete end filled with zeros.
template <typename S>
void pack_panel(const Strided<S>& b, Index depth, Index width, S* packed, Index panel) {
  if (b.column_stride == 1) {
    const Index whole = width - width % lanes<S>;
    for (Index k = 0; k < depth; ++k) {
      const S* from = b.data + k * b.row_stride;
      S* row = packed + k * panel;
      for (Index j = 0; j < whole; j += lanes<S>) store(row + j, load(from + j));
      if (whole == width) continue;
      std::fill_n(row + whole, lanes<S>, S(0));
      std::copy_n(from + whole, width - whole, row + whole);
    }
    return;
  }
  Index j = 0;
  if constexpr (sizeof(S) == 4) {
    for (; b.row_stride == 1 && j + 8 <= width; j += 8) {
      Index k = 0;
      for (; k + 8 <= depth; k += 8)
        transpose_8x8(b.data + j * b.column_stride + k, b.column_stride, packed + k * panel + j, panel);
      for (; k < depth; ++k)
        for (Index i = j; i < j + 8; ++i) packed[k * panel + i] = b.data[i * b.column_stride + k];
    }
  }
  for (; j < width; ++j)
    for (Index k = 0; k < depth; ++k) packed[k * panel + j] = b.data[k * b.row_stride + j * b.column_stride];
  for (; j % lanes<S> != 0; ++j)
    for (Index k = 0; k < depth; ++k) packed[k * panel + j] = S(0);
}

/// Whether the rows of b, if read in place, would evict each other from the L1 cache.
template <typename S>
bool wants_packing(const Strided<S>& b, Index rows, Index depth, Index width, Index panel) {
  if (b.column_stride != 1 || width % lanes<S> != 0) return true;
  const auto stride_bytes = b.row_stride * static_cast<Index>(sizeof(S));
  return rows >= 24 && depth > 16 && b.row_stride != panel && stride_bytes % 512 == 0;
}

}  // namespace icrl::detail
