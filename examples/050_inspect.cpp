// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// What is in a history file or in the file of a transformer; with --html FILE also one history as a page that replays
// it.
#include <algorithm>
#include <cstdio>
#include <fstream>

#include <icrl/env/dark_room.hpp>
#include <icrl/eval/html.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/model/fingerprint.hpp>

#include "support/json_summary.hpp"
#include "support/printable.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

[[nodiscard]] bool is_history_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::string magic(detail::HistoryFormat::file_magic.size(), '\0');
  file.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  return magic == std::string_view{detail::HistoryFormat::file_magic.data(), detail::HistoryFormat::file_magic.size()};
}

Json inspect_histories(const std::filesystem::path& path) {
  const HistoryFile file{path};
  fmt::print("{}: {} histories", path.string(), file.history_count());
  if (file.torn_bytes() > 0) fmt::print(", and {} bytes of one that was never finished", file.torn_bytes());
  fmt::print("\n");
  Json list = Json::array();
  for (int i = 0; i < file.history_count(); ++i) {
    const HistoryView history = file.history(i);
    const HistoryInfo& info = history.info();
    const int tenth = std::max(1, history.episode_count() / 10);
    const double first = mean_return(history, 0, tenth),
                 last = mean_return(history, history.episode_count() - tenth, tenth);
    list.push_back({{"task", info.task},
                    {"algorithm", example::utf8_or_remark(info.algorithm)},
                    {"seed", info.seed},
                    {"episodes", history.episode_count()},
                    {"steps", history.step_count()},
                    {"first_tenth", first},
                    {"last_tenth", last}});
    if (i == 10) fmt::print("  ... the rest is in summary.json\n");
    if (i >= 10) continue;
    fmt::print(
        "  {}: task {}, {}, seed {}; observations {}, actions {}; {} episodes, {} steps; return {:.2f} at first, "
        "{:.2f} at last\n",
        i, info.task, example::printable(info.algorithm), info.seed, to_string(info.observation_space),
        to_string(info.action_space), history.episode_count(), history.step_count(), first, last);
  }
  return {{"file", path.string()}, {"kind", "histories"}, {"torn_bytes", file.torn_bytes()}, {"histories", list}};
}

/// Of a CausalTransformer; other kinds are refused by their names.
Json inspect_model(const std::filesystem::path& path) {
  const auto model = load_model<float>(path);
  const ModelInfo info = read_model_info(path);
  fmt::print("{}: format {}\n  {}\n  {} weights, checksum {:08x}\n", path.string(), info.format_version,
             describe(model), info.weight_count, weights_checksum(model));
  for (const auto& [key, text] : info.metadata)
    fmt::print("  {}: {}\n", example::printable(key), example::printable(text));
  for_each_parameter(
      [](std::string_view name, const auto& tensor) {
        fmt::print("  {:<36} {:>5} x {:<5} largest {:.3f}\n", name, tensor.rows(), tensor.cols(),
                   tensor.cwiseAbs().maxCoeff());
      },
      model);
  return {{"file", path.string()},
          {"kind", "model"},
          {"format_version", info.format_version},
          {"model", describe(model)},
          {"weight_count", info.weight_count},
          {"metadata", info.metadata}};
}

/// Writes the page of one history of the first history file.
void write_page(const std::vector<std::string>& paths, int number, const std::filesystem::path& page) {
  const auto path = std::ranges::find_if(paths, is_history_file);
  if (path == paths.end()) fail("--html {}: none of the files holds histories", page.string());
  const HistoryFile file{*path};
  if (number >= file.history_count())
    fail("--history is {}, {} holds {} histories (they are numbered from 0)", number, *path, file.history_count());
  const HistoryView history = file.history(number);
  const HistoryInfo& info = history.info();
  const std::string title =
      fmt::format("{}, task {}, seed {}: history {} of {}", example::utf8_or_remark(info.algorithm), info.task,
                  info.seed, number, example::utf8_or_remark(std::filesystem::path{*path}.filename().string()));
  example::write_text(page, to_html(history, {.title = title}));
  fmt::print("history {} of {} as a page: {}\n", number, *path, page.string());
}

/// One file of either kind, for those who have none yet.
std::vector<std::string> make_files(const std::filesystem::path& folder, std::uint64_t seed) {
  const std::vector<std::string> paths{(folder / "random.histories").string(),
                                       (folder / "untrained.safetensors").string()};
  const DarkRoom room = DarkRooms{}.make(40);
  RandomPolicy policy{room.action_space()};
  std::filesystem::remove(paths[0]);
  const LearningHistory history = run(policy, room, 20, Rng{seed}, {.algorithm = "random", .seed = seed});
  HistoryWriter{paths[0]}.append(history.view());
  CausalTransformer<float> model{{},
                                 {.observation_space = room.observation_space(), .action_space = room.action_space()}};
  Rng rng{seed};
  model.initialize(rng);
  save_model(model, paths[1]);
  return paths;
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Tells what history files and files of transformers hold", "out/050_inspect"};
  std::vector<std::string> paths;
  std::filesystem::path page;
  int number = 0;
  program.add("files", paths, "history files and model files; without any, two are made");
  program.add("--html", page, "page to write that replays a history of the first history file");
  program.add("--history", number, "which history --html shows", 0, 1 << 30);

  return program.run(argc, argv, [&](const example::Options& options) {
    if (paths.empty()) paths = make_files(options.out, options.seed);
    Json files = Json::array();
    for (const auto& path : paths)
      files.push_back(is_history_file(path) ? inspect_histories(path) : inspect_model(path));
    if (!page.empty()) write_page(paths, number, page);
    example::write_json_summary(options.out, {{"files", files}});
  });
}
