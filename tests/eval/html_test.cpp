// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/html.hpp>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <icrl/history/history_recorder.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/io/json.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The numbers in a page, as its script reads them.
Json page_data(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const std::size_t from = page.find(begin) + begin.size();
  return parse_json(page.substr(from, page.find("</script>", from) - from), "page");
}

/// An episode through these elements; every step earns `reward`.
void record_path(HistoryRecorder& recorder, const std::vector<std::vector<float>>& path, float reward,
                 bool terminated = false) {
  recorder.begin_episode(path.front());
  for (std::size_t t = 1; t < path.size(); ++t) {
    const bool ends = t + 1 == path.size();
    recorder.step(std::array{0.0f}, reward, path[t], ends && terminated, ends && !terminated);
  }
}

LearningHistory history_in(const Space& space, const std::vector<std::vector<float>>& path) {
  LearningHistory history{{.observation_space = space, .action_space = Discrete{2}, .algorithm = "walker"}};
  HistoryRecorder recorder{history};
  record_path(recorder, path, 0.5f);
  return history;
}

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("A page holds the paths, rewards and returns of a history on a grid", "[eval]") {
  LearningHistory history{{.observation_space = MultiDiscrete{{3, 4}},
                           .action_space = Discrete{2},
                           .task = 7,
                           .algorithm = "walker",
                           .seed = 9}};
  HistoryRecorder recorder{history};
  record_path(recorder, {{0, 0}, {0, 1}, {1, 1}}, 0.25f);
  record_path(recorder, {{2, 3}, {2, 2}}, -1, /*terminated*/ true);

  const std::string page = to_html(history.view());
  const Json data = page_data(page);

  CHECK(page.find("<h1>walker, task 7, seed 9</h1>") != std::string::npos);
  CHECK(page.find("2 episodes, 3 steps.") != std::string::npos);
  CHECK(data["kind"] == "grid");
  CHECK(data["rows"] == 3);
  CHECK(data["columns"] == 4);
  CHECK(data["x"]["label"] == "column (cells)");
  CHECK(data["y"]["label"] == "row (cells)");
  CHECK(data["returns"] == Json{0.5, -1});
  CHECK(data["return_stride"] == 1);
  REQUIRE(data["episodes"].size() == 2);
  CHECK(data["episodes"][0]["path"] == Json{0, 1, 5});
  CHECK(data["episodes"][0]["rewards"] == Json{0.25, 0.25});
  CHECK(data["episodes"][0]["return"] == 0.5);
  CHECK(data["episodes"][0]["ending"] == "truncated");
  CHECK(data["episodes"][1]["number"] == 2);
  CHECK(data["episodes"][1]["path"] == Json{11, 10});
  CHECK(data["episodes"][1]["ending"] == "terminated");
}

TEST_CASE("A page is one document that loads nothing", "[eval]") {
  const LearningHistory history = history_in(Discrete{4}, {{0}, {1}});

  const std::string page = to_html(history.view());

  CHECK(page.starts_with("<!doctype html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(page.find("default-src 'none'") != std::string::npos);
  for (const char* const word : {"http:", "https:", "src=", "href=", "@import", "url("})
    CHECK(count_of(page, word) == 0);
  for (const char* const tag : {"html", "head", "body", "style", "main"})
    CHECK(count_of(page, "</" + std::string{tag} + ">") == 1);
  CHECK(count_of(page, "</script>") == 2);
}

TEST_CASE("Texts of a history cannot leave their place in the page", "[eval]") {
  const Box box{{-1, -1}, {1, 1}};
  LearningHistory history{
      {.observation_space = box, .action_space = Discrete{2}, .algorithm = "</title><script>alert('1')</script>\"&"}};
  HistoryRecorder recorder{history};
  record_path(recorder, {{0, 0}, {1, 1}}, 1);
  const HtmlConfig config{.labels = {.observations = {{.name = "</script><img>", .unit = "m"}, {.name = "\"<!--"}}}};

  const std::string page = to_html(history.view(), config);

  CHECK(count_of(page, "<script") == 2);
  CHECK(count_of(page, "</script>") == 2);
  CHECK(count_of(page, "<img") == 0);
  CHECK(count_of(page, "<!--") == 0);
  CHECK(page.find("&lt;/title&gt;&lt;script&gt;alert") != std::string::npos);
  CHECK(page_data(page)["x"]["label"] == "</script><img> (m)");
  CHECK(page_data(page)["y"]["label"] == "\"<!-- (no unit)");
}

TEST_CASE("A plane has the units of its labels, and its bounds or the range of its points", "[eval]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const LearningHistory history = history_in(Box{{-1, -infinity}, {1, infinity}}, {{0.5f, 3}, {-0.25f, 8}});
  const HtmlConfig config{
      .labels = {.observations = {{.name = "place", .unit = "m", .scale = 2}, {.name = "speed", .unit = "m/s"}}}};

  const Json data = page_data(to_html(history.view(), config));

  CHECK(data["kind"] == "plane");
  CHECK(data["x"] == Json{{"label", "place (m)"}, {"low", -2}, {"high", 2}});
  CHECK(data["y"] == Json{{"label", "speed (m/s)"}, {"low", 3}, {"high", 8}});
  CHECK(data["episodes"][0]["path"] == Json{1, 3, -0.5, 8});
}

TEST_CASE("An axis without a length gets one", "[eval]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const LearningHistory history = history_in(Box{{-infinity, 0}, {infinity, 1}}, {{3, 0}, {3, 1}});

  const Json data = page_data(to_html(history.view()));

  CHECK(data["x"]["low"] == 2.5);
  CHECK(data["x"]["high"] == 3.5);
}

TEST_CASE("Cells of one id are a square, a row, or as many columns as asked for", "[eval]") {
  const auto shape = [](int count, int columns) {
    const LearningHistory history = history_in(Discrete{count}, {{0}, {1}});
    const Json data = page_data(to_html(history.view(), {.columns = columns}));
    return std::array{data["rows"].get<int>(), data["columns"].get<int>()};
  };

  CHECK(shape(25, 0) == std::array{5, 5});
  CHECK(shape(6, 0) == std::array{1, 6});
  CHECK(shape(6, 4) == std::array{2, 4});
  CHECK(shape(6, 100) == std::array{1, 6});
}

TEST_CASE("A long history is thinned out by the rule that its page tells", "[eval]") {
  LearningHistory history{{.observation_space = Discrete{1000}, .action_space = Discrete{2}, .algorithm = "walker"}};
  HistoryRecorder recorder{history};
  for (int e = 0; e < 3000; ++e) {
    std::vector<std::vector<float>> path;
    for (int t = 0; t <= (e == 0 ? 999 : 2); ++t) path.push_back({static_cast<float>(t)});
    record_path(recorder, path, static_cast<float>(e % 3));
  }

  const HtmlConfig config{.max_paths = 50, .max_points = 101, .max_returns = 1000};
  const std::string page = to_html(history.view(), config);
  const Json data = page_data(page);

  CHECK(data["return_stride"] == 3);
  CHECK(data["returns"].size() == 1000);
  CHECK(data["returns"][5] == 2);  // of 0, 2 and 4
  REQUIRE(data["episodes"].size() == 50);
  CHECK(data["episodes"][0]["number"] == 1);
  CHECK(data["episodes"][49]["number"] == 3000);
  CHECK(data["episodes"][0]["stride"] == 10);
  CHECK(data["episodes"][0]["path"].size() == 101);
  CHECK(data["episodes"][0]["path"][100] == 999);
  CHECK(data["episodes"][0]["path_length"] == 100);
  CHECK(page.find("Paths of 50 episodes are kept") != std::string::npos);
  CHECK(page.find("a point per 3 episodes") != std::string::npos);
  CHECK(page.find("more than 100 steps") != std::string::npos);
}

TEST_CASE("Thinned paths keep the sum of their rewards", "[eval]") {
  std::vector<std::vector<float>> path;
  for (int t = 0; t <= 37; ++t) path.push_back({static_cast<float>(t)});
  const LearningHistory history = history_in(Discrete{100}, path);

  const Json episode = page_data(to_html(history.view(), {.max_points = 10}))["episodes"][0];

  double total = 0;
  for (const Json& reward : episode["rewards"]) total += reward.get<double>();
  CHECK(total == 37 * 0.5);
  CHECK(episode["path"] == Json{0, 5, 10, 15, 20, 25, 30, 35, 37});
  CHECK(episode["return"] == 37 * 0.5);
}

TEST_CASE("A page stays small, however long its history", "[eval]") {
  LearningHistory history{
      {.observation_space = Box{{-1, -1}, {1, 1}}, .action_space = Discrete{2}, .algorithm = "walker"}};
  HistoryRecorder recorder{history};
  std::vector<std::vector<float>> path;
  for (int t = 0; t <= 400; ++t) path.push_back({std::sin(static_cast<float>(t)), -std::cos(static_cast<float>(t))});
  for (int e = 0; e < 300; ++e) record_path(recorder, path, -1.234567e-5f);

  const HtmlConfig config;
  const std::size_t bytes = to_html(history.view()).size();
  const auto most = static_cast<std::size_t>(48 * (config.max_paths * config.max_points + config.max_returns));

  CHECK(bytes < most + 40'000);
}

TEST_CASE("What a page cannot show is an error that says so", "[eval]") {
  const auto error_in = [](const Space& space, const std::vector<float>& element, const HtmlConfig& config = {}) {
    const LearningHistory history = history_in(space, {element, element});
    return error_of([&] { (void)to_html(history.view(), config); });
  };
  const LearningHistory empty{{.observation_space = Discrete{4}, .action_space = Discrete{2}}};

  CHECK(error_in(MultiDiscrete{{2, 2, 2}}, {0, 0, 0}).find("observations are") != std::string::npos);
  CHECK(error_in(Box{{0, 0, 0}, {1, 1, 1}}, {0, 0, 0}).find("not cells of a grid") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.columns = -1}).find("columns is -1") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.max_paths = 1}).find("max_paths is 1") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.max_points = 1}).find("max_points is 1") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.max_returns = 2147483647}).find("in 1 .. 100000") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.max_returns = 0}).find("max_returns is 0") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.title = "\xff"}).find("html: the title: invalid UTF-8") != std::string::npos);
  CHECK(error_in(Discrete{4}, {0}, {.labels = {.observations = {{.name = "a"}, {.name = "b"}}}}).find("2 label") !=
        std::string::npos);
  CHECK(error_of([&] { (void)to_html(empty.view()); }).find("no finished episode") != std::string::npos);
}
