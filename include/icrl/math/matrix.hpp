// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

// g++ 12 takes the deliberately undefined registers of its own AVX-512 header for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <icrl/math/target.hpp>

#if defined(__ELF__) && !defined(__wasm__)
namespace icrl::detail {

/// Makes files that were compiled for different targets fail to link. Otherwise they would corrupt each other's memory:
/// a linker keeps only one copy of an inline function, which may be that of the other target. This function exists once
/// per target, and all its copies define the same symbol, so the linker reports a second definition.
template <int packet, int alignment, int static_alignment, bool... features>
[[gnu::noinline]] void define_target() {
  asm volatile(
      ".globl icrl_error_files_of_this_program_were_compiled_with_different_march_flags\n"
      ".hidden icrl_error_files_of_this_program_were_compiled_with_different_march_flags\n"
      "icrl_error_files_of_this_program_were_compiled_with_different_march_flags:");
}
namespace {
[[gnu::used]] void (*const defined_target)() =
    &define_target<packet_bytes, EIGEN_MAX_ALIGN_BYTES, EIGEN_MAX_STATIC_ALIGN_BYTES, fuses_multiply_add,
                   has_bfloat16_products, scales_by_exponents>;
}  // namespace

}  // namespace icrl::detail
#endif

namespace icrl {

/// Signed, so that differences of sizes are numbers.
using Index = Eigen::Index;

/// Row-major everywhere: one row is one token, so the numbers of a token are contiguous.
template <typename S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// One row, such as a bias (C).
template <typename S>
using RowVector = Eigen::Matrix<S, 1, Eigen::Dynamic, Eigen::RowMajor>;

/// How functions take matrices: rows may be a block of a larger matrix, numbers within a row are contiguous.
template <typename S>
using MatrixIn = const Eigen::Ref<const Matrix<S>>&;
/// A matrix that a function writes, passed by value; it may be a block of a larger one, as with MatrixIn.
template <typename S>
using MatrixOut = Eigen::Ref<Matrix<S>>;

/// Where row r begins.
template <typename M>
auto* row_data(M& matrix, Index r) {
  return matrix.data() + r * matrix.outerStride();
}

/// Makes `buffer` hold at least `rows` x `columns`. A pass that needs no more rows than before allocates nothing; it
/// uses the top rows.
template <typename M>
void reserve_rows(M& buffer, Index rows, Index columns) {
  if (buffer.rows() < rows || buffer.cols() != columns) buffer.resize(rows, columns);
}

/// Sets `count` columns of the top rows to zero, from `first` on. Used instead of setZero(), which is compiled again
/// for every kind of block.
template <typename M>
void clear_columns(M& buffer, Index rows, Index first, Index count) {
  for (Index r = 0; r < rows; ++r) std::fill_n(row_data(buffer, r) + first, count, typename M::Scalar(0));
}

/// Rows or columns rounded up to a whole number of cache lines, so that vector loops need no tail.
template <typename S>
constexpr Index padded(Index count) {
  constexpr Index lane_count = 64 / static_cast<Index>(sizeof(S));
  return (count + lane_count - 1) / lane_count * lane_count;
}

}  // namespace icrl
