// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// Conditions without which icrl would give wrong results. Every header includes this one, so that such a build stops at
// its first line with a one-sentence error instead of failing silently.

#if defined(_MSC_VER)
#error \
    "icrl is for g++ and clang, and this is Microsoft's compiler or one that imitates it: use MinGW-w64's g++ on Windows"
#elif __SIZEOF_POINTER__ < 8 && !defined(__wasm__)  // WebAssembly has 64-bit arithmetic, and acting works there
#error "icrl is for 64-bit targets, and this is a 32-bit one: compile without -m32 or -mx32, for x86-64 or aarch64"
#elif defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error \
    "-ffast-math, -Ofast and -ffinite-math-only remove icrl's checks for NaN and infinity: leave the flag out, or add -fno-fast-math after it, for every file that includes icrl"
#elif defined(__ASSOCIATIVE_MATH__)  // only g++ defines it; the exponential needs the order to round by 1.5 * 2^23
#error \
    "-fassociative-math and -funsafe-math-optimizations reorder sums whose order icrl relies on: leave the flag out, or add -fno-associative-math after it, for every file that includes icrl"
#elif defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "icrl needs sums of float and double in their own precision: on x86 compile with -mfpmath=sse"
#endif
