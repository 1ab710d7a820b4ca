// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

// What the programs of tests/kernels share. They are compiled for many targets at many levels of optimization, so they
// use nothing but what they test: no test framework, no generator of the library's own.
namespace icrl::test {

/// The value, of which the compiler knows nothing.
template <typename T>
T opaque(T value) {
  volatile T seen = value;
  return seen;
}

/// A size as the standard's containers take it.
inline std::size_t length(std::ptrdiff_t n) { return static_cast<std::size_t>(n); }

/// GELU in its tanh form, and its derivative.
inline double plain_gelu(double x) {
  const double k = std::sqrt(2 / 3.14159265358979323846);
  return 0.5 * x * (1 + std::tanh(k * (x + 0.044715 * x * x * x)));
}
inline double plain_gelu_slope(double x) {
  const double k = std::sqrt(2 / 3.14159265358979323846), t = std::tanh(k * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

/// Numbers in [-1, 1): Knuth's linear congruence.
class PlainNumbers {
public:
  explicit PlainNumbers(std::uint64_t seed) : state_{seed} {}

  double operator()() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(static_cast<std::int32_t>(state_ >> 32)) / 2147483648.0;
  }

  template <typename Range>
  void fill(Range& range) {
    for (auto& value : range) value = static_cast<std::remove_reference_t<decltype(value)>>((*this)());
  }

private:
  std::uint64_t state_;
};

/// Counts what agrees, prints the first things that differ, and names the case in which a program touched memory that
/// is not its own.
class KernelChecks {
public:
  explicit KernelChecks(const char* kernel) : kernel_{kernel} {
    current = this;
    std::signal(SIGSEGV, &KernelChecks::report_fault);
    std::signal(SIGBUS, &KernelChecks::report_fault);
  }
  KernelChecks(const KernelChecks&) = delete;
  KernelChecks& operator=(const KernelChecks&) = delete;
  ~KernelChecks() = default;

  /// Says which case the next checks belong to, as printf does.
  [[gnu::format(printf, 2, 3)]] void at(const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(case_, sizeof case_, format, arguments);
    va_end(arguments);
  }

  /// |got - expected| <= tolerance. NaN is not close to anything.
  void close(const char* what, double got, double expected, double tolerance) {
    ++checks_;
    if (std::abs(got - expected) <= tolerance) return;
    if (++faults_ <= shown)
      std::printf("%s: %s: %s is %.9g, not %.9g (+-%.2g)\n", kernel_, case_, what, got, expected, tolerance);
  }

  void equal(const char* what, std::uint64_t got, std::uint64_t expected) {
    ++checks_;
    if (got == expected) return;
    if (++faults_ <= shown)
      std::printf("%s: %s: %s is %#llx, not %#llx\n", kernel_, case_, what, static_cast<unsigned long long>(got),
                  static_cast<unsigned long long>(expected));
  }

  void is_true(const char* what, bool condition) {
    ++checks_;
    if (!condition && ++faults_ <= shown) std::printf("%s: %s: not true that %s\n", kernel_, case_, what);
  }

  /// What main returns: a failure, too, where nothing was checked.
  [[nodiscard]] int finish() const {
    std::printf("%s: bad %ld of %ld\n", kernel_, faults_, checks_);
    return faults_ == 0 && checks_ > 0 ? 0 : 1;
  }

private:
  static constexpr long shown = 10;
  static inline KernelChecks* current = nullptr;

  static void report_fault(int) {
    const auto print = [](const char* text) {
      if (::write(2, text, std::strlen(text)) < 0) ::_exit(3);
    };
    print(current->kernel_);
    print(": touches memory that is not its own: ");
    print(current->case_);
    print("\n");
    ::_exit(2);
  }

  const char* kernel_;
  char case_[200] = "start";
  long checks_ = 0, faults_ = 0;
};

}  // namespace icrl::test
