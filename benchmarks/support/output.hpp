// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include <icrl/core/atomic_write.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/train/distil_metrics.hpp>

#include "support/progress.hpp"

// How studies show and write what they do. Its users have the examples' folder among their include paths, too.
namespace icrl::bench {

/// The whole file. Throws Error if it cannot be read.
[[nodiscard]] inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file{path};
  if (!file) fail("{}: cannot be read", path.string());
  return {std::istreambuf_iterator<char>{file}, {}};
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  write_file_atomically(path, std::as_bytes(std::span{text}));
}

/// Shows how training goes: an observer of `distil`.
struct TrainingProgress {
  example::ProgressBar bar;
  std::size_t updates;

  void on_update(const DistilMetrics& metrics) {
    bar.show(static_cast<std::size_t>(metrics.update), updates,
             fmt::format("loss {:.3f}, {:.0f} tokens/s", metrics.loss, metrics.tokens_per_second));
  }
};

}  // namespace icrl::bench
