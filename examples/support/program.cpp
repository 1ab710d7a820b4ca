// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/program.hpp"

#include <cstdio>
#include <exception>
#include <span>

#include <CLI/CLI.hpp>

#include <icrl/core/fail.hpp>
#include <icrl/core/file.hpp>
#include <icrl/model/self_test.hpp>
#include <icrl/model/self_test_training.hpp>

#include "support/json_summary.hpp"

namespace example {

Program::Program(const std::string& description, const std::filesystem::path& default_out)
    : app_{std::make_unique<CLI::App>(description)} {
  options_.out = default_out;
  app_->add_option("--seed", options_.seed, "of everything that is random: the same seed, the same result")
      ->check([](const std::string& text) {
        const bool is_number =
            !text.empty() && text.size() < 20 && text.find_first_not_of("0123456789") == std::string::npos;
        return std::string{is_number ? "" : "a seed is a number of up to 19 digits"};
      })
      ->capture_default_str();
  add("--threads", options_.threads, "threads; they change the speed, never the result", 1, 256);
  add("--out", options_.out, "folder of all files that are written");
  app_->add_flag("--quick", options_.quick,
                 "a few seconds of everything: too short to learn, long enough to see it run");
}
Program::~Program() = default;

void Program::add(const std::string& name, int& value, const std::string& help, int least, int most) {
  app_->add_option(name, value, help)->check(CLI::Range(least, most))->capture_default_str();
}
void Program::add(const std::string& name, double& value, const std::string& help, double least, double most) {
  app_->add_option(name, value, help)->check(CLI::Range(least, most))->capture_default_str();
}
void Program::add(const std::string& name, std::filesystem::path& value, const std::string& help) {
  app_->add_option(name, value, help)->capture_default_str();
}
void Program::add(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  app_->add_option(name, values, help)->delimiter(',');
}

int Program::run(int argc, char** argv, const std::function<void(const Options&)>& body) {
  CLI11_PARSE(*app_, argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // line by line, also into a pipe
  try {
    icrl::self_test();  // what a compiler made wrong is told before anything is computed with it
    icrl::self_test_training();
    std::error_code error;
    std::filesystem::create_directories(options_.out, error);
    if (error) icrl::fail("cannot make the folder \"{}\": {}", options_.out.string(), error.message());
    body(options_);
    if (std::fflush(stdout) != 0) icrl::fail("cannot write to the standard output");
    return 0;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "\nerror: %s\n", error.what());
    return 1;
  }
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  icrl::write_file_atomically(path, std::as_bytes(std::span{text}));
}

void write_summary(const std::filesystem::path& folder, std::initializer_list<icrl::JsonField> summary) {
  write_json_summary(folder, icrl::parse_json(icrl::json_object(summary).text(), "summary.json"));
}

}  // namespace example
