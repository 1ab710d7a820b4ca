// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <icrl/core/fail.hpp>
#include <icrl/core/file.hpp>
#include <icrl/train/distil_metrics.hpp>

namespace icrl {

/// One line of JSON.
[[nodiscard]] inline std::string to_json(const DistilMetrics& m) {
  return fmt::format(
      R"({{"update": {}, "tokens": {}, "loss": {}, "gradient_norm": {}, "rate": {}, "seconds": {}, "tokens_per_second": {}}})",
      m.update, m.tokens, m.loss, m.gradient_norm, m.rate, m.seconds, m.tokens_per_second);
}

/// A file of JSON lines, one per update. A resumed run appends to it: if several lines have the same update, the last
/// one counts.
class MetricsFile {
public:
  /// Opens a file, or makes it, and ends a line that a crash has cut short. Throws Error if it cannot be opened or has
  /// another writer.
  explicit MetricsFile(const std::filesystem::path& path) : file_{path} {
    const auto last = file_.last_byte();
    if (last && *last != std::byte{'\n'}) add("\n");  // a line that a crash has cut short ends alone
  }

  /// Appends one line. Throws Error if it cannot be written.
  void append(const DistilMetrics& metrics) { add(to_json(metrics) + "\n"); }

private:
  void add(std::string_view text) { file_.append(std::as_bytes(std::span{text})); }

  AppendFile file_;
};

}  // namespace icrl
