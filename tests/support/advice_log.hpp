// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace icrl::test {

/// What the system was told about mapped memory since the log was made, by all threads: every call of posix_madvise,
/// which advice_log.cpp stands in for in every test binary. One log at a time.
class AdviceLog {
public:
  struct Entry {
    std::span<const std::byte> memory;
    int advice;
  };

  AdviceLog();
  ~AdviceLog();
  AdviceLog(const AdviceLog&) = delete;
  AdviceLog& operator=(const AdviceLog&) = delete;

  [[nodiscard]] std::vector<Entry> entries() const;
  /// Whether all of the bytes lie in memory that the advice was given for.
  [[nodiscard]] bool covers(std::span<const std::byte> bytes, int advice) const;

  /// False where the C library's own function cannot be stood in for; entries() is empty there.
  [[nodiscard]] static bool is_available();
};

}  // namespace icrl::test
