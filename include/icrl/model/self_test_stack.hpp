// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/fail.hpp>

namespace icrl::detail {

/// The part of the self test that comes before any arithmetic. For Windows, g++ takes the stack to be aligned for
/// 32-byte values where it is not (its bug 54412), so a program for AVX crashes sooner or later, unless the assembler
/// turns aligned moves into unaligned ones. Throws Error if this program was assembled without that.
inline void check_vector_moves() {
#if defined(_WIN32) && defined(__AVX__) && defined(__GNUC__) && !defined(__clang__)
  const unsigned char* move = nullptr;  // the code of a move that is never executed
  asm volatile("jmp 2f\n1: vmovaps %%ymm0, (%%rax)\n2: leaq 1b(%%rip), %0" : "=r"(move));
  constexpr unsigned char aligned_store = 0x29;  // the unaligned one is 0x11
  if (move[2] != aligned_store) return;
  fail(
      "self test: this program is for Windows and AVX, and g++ does not align its stack for that (bug 54412 of g++): "
      "compile all of it with -Wa,-muse-unaligned-vector-move, as the CMake target icrl::icrl does, or for -march=x86-64-v2");
#endif
}

}  // namespace icrl::detail
