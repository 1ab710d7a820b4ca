// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// What icrl cannot be right without. Every header includes this one, so that a build that would go wrong without a word
// stops at its first line, with one sentence.

#if __SIZEOF_POINTER__ < 8 && !defined(__wasm__)  // WebAssembly has 64-bit numbers, and there the acting path works
#error "icrl is for 64-bit targets, and this is a 32-bit one: compile without -m32 or -mx32, for x86-64 or aarch64"
#elif defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error \
    "-ffast-math, -Ofast and -ffinite-math-only remove icrl's checks for NaN and infinity: leave the flag out, or add -fno-fast-math behind it, for every file that includes icrl"
#elif defined( \
    __ASSOCIATIVE_MATH__)  // g++ tells, clang does not; an exponential rounds by adding 1.5 * 2^23 and taking it off
#error \
    "-fassociative-math and -funsafe-math-optimizations reorder sums whose order icrl relies on: leave the flag out, or add -fno-associative-math behind it, for every file that includes icrl"
#elif defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "icrl needs sums of float and double in their own precision: on x86 compile with -mfpmath=sse"
#endif
