// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace icrl::test {

/// Counts the allocations of all threads since it was made, at malloc and its family: beneath operator new, and beneath
/// Eigen, which does not go through operator new. alloc_counter.cpp is linked to every test binary.
class AllocationCount {
public:
  AllocationCount() : before_{total()} {}

  [[nodiscard]] std::int64_t count() const { return total() - before_; }

  /// False where a sanitizer, or a C library other than glibc, keeps malloc for itself; count() is 0 there.
  [[nodiscard]] static bool is_available();

private:
  static std::int64_t total();

  std::int64_t before_;
};

/// While it lives, the first `count` allocations of this thread succeed and all others fail, where AllocationCount is
/// available.
class AllocationLimit {
public:
  explicit AllocationLimit(std::int64_t count);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
};

}  // namespace icrl::test
