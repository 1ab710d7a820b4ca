// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include <icrl/core/error.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/io/json.hpp>

namespace example {

/// What every example understands.
struct Options {
  std::uint64_t seed = 1;
  int threads = icrl::default_thread_count();
  std::filesystem::path out;
  bool quick = false;
};

inline void add_options(CLI::App& app, Options& options, const std::string& default_out) {
  options.out = default_out;
  app.add_option("--seed", options.seed, "of everything that is random: the same seed, the same result")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "threads; they change the speed, never the result")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--out", options.out, "folder of all files that are written")->capture_default_str();
  app.add_flag("--quick", options.quick, "a few seconds of everything: too short to learn, long enough to see it run");
}

/// Writes summary.json: every number that the example prints.
inline void write_summary(const std::filesystem::path& folder, const icrl::Json& summary) {
  const std::string text = icrl::to_text(summary, "summary.json", 2) + "\n";
  icrl::write_file_atomically(folder / "summary.json", std::as_bytes(std::span{text}));
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  icrl::write_file_atomically(path, std::as_bytes(std::span{text}));
}

/// Makes the folder, or says why it cannot be made.
inline void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) icrl::fail("cannot make the folder \"{}\": {}", folder.string(), error.message());
}

/// Parses the command line, runs the example, and ends with what went wrong in one line.
template <typename Body>
int run(CLI::App& app, int argc, char** argv, Body&& body) {
  CLI11_PARSE(app, argc, argv);
  try {
    std::forward<Body>(body)();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "\nerror: %s\n", error.what());
    return 1;
  }
}

}  // namespace example
