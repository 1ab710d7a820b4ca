// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/metrics.hpp>

#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <icrl/io/json.hpp>
#include <icrl/train/distil_trainer.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::vector<Json> lines_of(const std::filesystem::path& path) {
  const auto bytes = read_bytes(path);
  std::istringstream text{{bytes.begin(), bytes.end()}};
  std::vector<Json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line, "metrics"));
  return lines;
}

}  // namespace

TEST_CASE("Metrics are one line of JSON under their own names", "[train]") {
  const DistilMetrics metrics{.update = 3,
                              .tokens = 1234567890123,
                              .loss = 0.5,
                              .gradient_norm = 2,
                              .rate = 1e-5,
                              .seconds = 0.25,
                              .tokens_per_second = 1e6};

  CHECK(to_json(metrics) == R"({"update": 3, "tokens": 1234567890123, "loss": 0.5, "gradient_norm": 2, "rate": 1e-05, )"
                            R"("seconds": 0.25, "tokens_per_second": 1000000})");
}

TEST_CASE("Every number of a run comes back from its metrics file exactly, whatever the country", "[train]") {
  const TemporaryFolder folder;
  const SmallRun run;
  auto model = run.model();
  DistilTrainer trainer{model, run.sampler, small_distil(5)};
  std::vector<DistilMetrics> all;
  {
    const DecimalComma comma;
    MetricsFile file{folder / "metrics.jsonl"};
    for (int i = 0; i < 5; ++i) {
      all.push_back(trainer.step());
      file.append(all.back());
    }
  }

  const auto lines = lines_of(folder / "metrics.jsonl");

  REQUIRE(lines.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    JsonObject line{lines[i], "line"};
    CHECK(line.integer("update", 0, 9) == all[i].update);
    CHECK(line.value("tokens").get<std::int64_t>() == all[i].tokens);
    CHECK(line.number("loss") == all[i].loss);
    CHECK(line.number("gradient_norm") == all[i].gradient_norm);
    CHECK(line.number("rate") == all[i].rate);
    CHECK(line.number("seconds") == all[i].seconds);
    CHECK(line.number("tokens_per_second") == all[i].tokens_per_second);
    line.check_no_other();
  }
}

TEST_CASE("Very large and very small numbers are JSON, too", "[train]") {
  for (const double number :
       {0.0, -0.0, 1e-300, std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(), 1.0 / 3}) {
    const Json line = parse_json(to_json({.loss = number, .seconds = number}), "line");

    CHECK(line["loss"].get<double>() == number);
    CHECK(line["seconds"].get<double>() == number);
  }
}

TEST_CASE("A run that goes on adds to its metrics, and two runs cannot write one file", "[train]") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    MetricsFile file{path};
    file.append({.update = 1});
    file.append({.update = 2});
    CHECK(has(error_of([&] { MetricsFile{path}; }), "another writer has it open"));
  }
  MetricsFile{path}.append({.update = 2, .loss = 7});

  const auto lines = lines_of(path);

  REQUIRE(lines.size() == 3);
  CHECK(lines[1]["update"] == 2);
  CHECK(lines[2]["update"] == 2);
  CHECK(lines[2]["loss"] == 7);
}

TEST_CASE("A line of metrics that was cut short does not take the next one with it", "[train]") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_bytes(path, std::string_view{"{\"up"});
  MetricsFile{path}.append({.update = 1});
  MetricsFile{path}.append({.update = 2});

  const auto bytes = read_bytes(path);
  std::istringstream text{{bytes.begin(), bytes.end()}};
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);

  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "{\"up");
  CHECK(parse_json(lines[1], "metrics")["update"] == 1);
  CHECK(parse_json(lines[2], "metrics")["update"] == 2);
}
