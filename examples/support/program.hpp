// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <icrl/core/parallel.hpp>
#include <icrl/io/json_text.hpp>

namespace CLI {
class App;
}

namespace example {

/// What every example understands.
struct Options {
  std::uint64_t seed = 1;
  int threads = icrl::default_thread_count();
  std::filesystem::path out;
  bool quick = false;
};

/// An example's command line, its folder and the way it ends. In a file of its own, because CLI11 takes long to
/// compile.
class Program {
public:
  Program(const std::string& description, const std::filesystem::path& default_out);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// An option such as "--rooms" with a number of a range, or a name without dashes for files.
  void add(const std::string& name, int& value, const std::string& help, int least, int most);
  void add(const std::string& name, double& value, const std::string& help, double least, double most);
  void add(const std::string& name, std::filesystem::path& value, const std::string& help);
  void add(const std::string& name, std::vector<std::string>& values, const std::string& help);

  /// Parses, lets the library test itself, makes the folder, runs the body, and ends with what went wrong in one line.
  int run(int argc, char** argv, const std::function<void(const Options&)>& body);

private:
  std::unique_ptr<CLI::App> app_;
  Options options_;
};

/// Writes a file of the example's folder as a whole.
void write_text(const std::filesystem::path& path, const std::string& text);

/// Writes summary.json: every number that the example prints.
void write_summary(const std::filesystem::path& folder, std::initializer_list<icrl::JsonField> summary);

}  // namespace example
