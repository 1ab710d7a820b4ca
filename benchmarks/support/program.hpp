// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <exception>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace icrl::bench {

/// What options may be. CLI11's own check for positive numbers names the largest double in its complaint.
inline const CLI::Range counts{1, 1 << 20}, durations{0.01, 3600.0};

/// Reads the command line, does `work` and returns the program's exit status. What goes wrong ends in one line.
template <typename Work>
int run_program(CLI::App& app, int argc, char** argv, Work&& work) {
  CLI11_PARSE(app, argc, argv);
  try {
    work();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", std::filesystem::path{argv[0]}.filename().string(), error.what());
    return 1;
  }
  return 0;
}

}  // namespace icrl::bench
