// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace example {

/// Shows how far long work has come: on a terminal in one line that changes, elsewhere in a plain line now and then.
class ProgressBar {
public:
  explicit ProgressBar(std::string what) : what_{std::move(what)}, is_terminal_{isatty(STDERR_FILENO) == 1} {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::size_t done, std::size_t total, const std::string& note = {}) {
    const auto now = std::chrono::steady_clock::now();
    const std::size_t percent = total == 0 ? 100 : 100 * done / total;
    if (!is_terminal_) {
      if (now - last_ < std::chrono::seconds{10}) return;
      last_ = now;
      std::fprintf(stderr, "%s %zu %%  %s\n", what_.c_str(), percent, note.c_str());
      return;
    }
    if (done < total && now - last_ < std::chrono::milliseconds{100}) return;
    last_ = now;
    constexpr std::size_t width = 28;
    const std::size_t filled = total == 0 ? width : width * done / total;
    std::fprintf(stderr, "\r\x1b[K%s [%s%s] %3zu %%  %s", what_.c_str(), std::string(filled, '=').c_str(),
                 std::string(width - filled, ' ').c_str(), percent, note.c_str());
    std::fflush(stderr);
  }
  /// As `collect` and `evaluate` call it.
  [[nodiscard]] auto counter() {
    return [this](std::size_t done, std::size_t total) { show(done, total); };
  }

  void clear() {
    if (is_terminal_) std::fprintf(stderr, "\r\x1b[K");
  }

private:
  std::string what_;
  bool is_terminal_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace example
