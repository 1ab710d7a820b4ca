// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/function_ref.hpp>
#include <icrl/math/bfloat16.hpp>

// What all parts of the self test share: how they make sizes opaque to the compiler, notice stray writes and compare.
namespace icrl {

/// The compiler, its options and the target of this program, as far as macros tell them.
[[nodiscard]] inline std::string describe_build() {
  std::string text;
#if defined(__clang__)
  text += "clang " __clang_version__;
#elif defined(__GNUC__)
  text += "g++ " __VERSION__;
#else
  text += "an unknown compiler";
#endif
#if defined(__OPTIMIZE_SIZE__)
  text += ", optimized for size";
#elif defined(__OPTIMIZE__)
  text += ", optimized";
#else
  text += ", not optimized";
#endif
#if defined(__tune_skylake__)
  text += ", -mtune=skylake";
#elif defined(__tune_skylake_avx512__)
  text += ", -mtune=skylake-avx512";
#elif defined(__tune_cascadelake__)
  text += ", -mtune=cascadelake";
#elif defined(__tune_icelake_client__)
  text += ", -mtune=icelake-client";
#elif defined(__tune_icelake_server__)
  text += ", -mtune=icelake-server";
#elif defined(__tune_sapphirerapids__)
  text += ", -mtune=sapphirerapids";
#elif defined(__tune_alderlake__)
  text += ", -mtune=alderlake";
#elif defined(__tune_haswell__)
  text += ", -mtune=haswell";
#elif defined(__tune_znver3__)
  text += ", -mtune=znver3";
#elif defined(__tune_znver4__)
  text += ", -mtune=znver4";
#endif
#if defined(__x86_64__)
  text += "; x86-64";
#elif defined(__aarch64__)
  text += "; aarch64";
#else
  text += "; an unknown CPU";
#endif
  text += " with packets of " + std::to_string(detail::packet_bytes) + " bytes";
#if defined(__AVX512F__)
  text += ", AVX-512";
#elif defined(__AVX2__)
  text += ", AVX2";
#elif defined(__AVX__)
  text += ", AVX";
#endif
  if (detail::scales_by_exponents) text += ", DQ";
  if (detail::fuses_multiply_add) text += ", FMA";
  if (has_bfloat16_products) text += ", BF16";
  return text;
}

namespace detail {

/// Returns `value`, hidden from the optimizer, so that results are computed by the code that the program runs and not
/// at compile time.
template <typename T>
T opaque(T value) {
  volatile T copy = value;
  return copy;
}

/// Throws the Error of a part of the self test: what it computed and what it should have computed.
[[noreturn, gnu::cold, gnu::noinline]] inline void self_test_failed(const std::string& part,
                                                                    const std::string& difference) {
  fail(
      "self test: {}: {}. The compiler generated wrong code for this program, or a compiler option changed its "
      "arithmetic: {}. Do not trust its results: compile it with -mtune=generic, with -O1 or with another compiler, "
      "and report this text with your compiler's command line",
      part, difference, describe_build());
}

/// Whether a number is neither infinite nor NaN, even if a compiler option assumes that all numbers are finite.
inline bool is_finite(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return (opaque(bits) >> 52 & 0x7ff) != 0x7ff;
}

/// Throws unless `value` is within `tolerance` of `expected`; `place` describes it.
inline void check_near(const char* part, double value, double expected, double tolerance,
                       FunctionRef<std::string()> place) {
  if (is_finite(value) && std::abs(value - expected) <= tolerance) return;
  self_test_failed(part, fmt::format("{} is {}, plain arithmetic gives {}, and they may differ by {:.1e}", place(),
                                     value, expected, tolerance));
}

/// Throws unless two whole numbers are equal.
inline void check_equal(const char* part, std::uint64_t value, std::uint64_t expected,
                        FunctionRef<std::string()> place) {
  if (value == expected) return;
  self_test_failed(part, fmt::format("{} is {:#x}, it should be {:#x}", place(), value, expected));
}

inline void fill_margin(void* begin, std::size_t size) { std::memset(begin, 0xff, size); }

/// Throws unless all `size` bytes still are as `fill_margin` left them.
inline void check_untouched(const char* part, const void* begin, std::size_t size, FunctionRef<std::string()> place) {
  const auto* const bytes = static_cast<const unsigned char*>(begin);
  for (std::size_t i = 0; i < size; ++i) {
    if (bytes[i] != 0xff)
      self_test_failed(part, fmt::format("{} was written to, {} bytes from where it begins", place(), i));
  }
}

/// Number i of a pair in bfloat16.
inline double half_of(Bf16Pair pair, Index i) {
  const std::uint32_t bits = pair >> 16 * i << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return static_cast<double>(x);
}

/// `size` numbers between margins. Writes into the margins are detected and harmless, and reads from them give NaN, so
/// a wrong kernel is reported instead of corrupting the heap.
template <typename T>
class Guarded {
public:
  explicit Guarded(Index size) : size_{static_cast<std::size_t>(size)}, all_(size_ + 2 * margin) {
    fill_margin(all_.data(), all_.size() * sizeof(T));
  }

  [[nodiscard]] Index size() const { return static_cast<Index>(size_); }
  [[nodiscard]] T* data() { return all_.data() + margin; }
  [[nodiscard]] T& operator[](Index i) { return data()[i]; }

  void check_margins(const char* part, FunctionRef<std::string()> place) const {
    check_untouched(part, all_.data(), margin * sizeof(T), [&] { return "the memory before " + place(); });
    check_untouched(part, all_.data() + margin + size_, margin * sizeof(T),
                    [&] { return "the memory after " + place(); });
  }

private:
  static constexpr std::size_t margin = 256;

  std::size_t size_;
  std::vector<T> all_;
};

}  // namespace detail

}  // namespace icrl
