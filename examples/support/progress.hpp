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

/// One line that shows how far long work has come, on a terminal only.
class ProgressBar {
public:
  explicit ProgressBar(std::string what) : what_{std::move(what)}, is_shown_{isatty(STDERR_FILENO) == 1} {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::size_t done, std::size_t total, const std::string& note = {}) {
    const auto now = std::chrono::steady_clock::now();
    if (!is_shown_ || (done < total && now - last_ < std::chrono::milliseconds{100})) return;
    last_ = now;
    constexpr std::size_t width = 28;
    const std::size_t filled = total == 0 ? width : width * done / total;
    std::fprintf(stderr, "\r\x1b[K%s [%s%s] %3zu %%  %s", what_.c_str(), std::string(filled, '=').c_str(),
                 std::string(width - filled, ' ').c_str(), total == 0 ? 100 : 100 * done / total, note.c_str());
    std::fflush(stderr);
  }
  /// As `collect` and `evaluate` call it.
  [[nodiscard]] auto counter() {
    return [this](std::size_t done, std::size_t total) { show(done, total); };
  }

  void clear() {
    if (is_shown_) std::fprintf(stderr, "\r\x1b[K");
  }

private:
  std::string what_;
  bool is_shown_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace example
