// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Does a model still do in a long life what it learned in its first episodes? One agent in each of 64 held-out rooms of
// Key-to-Door, all served in one pass, for 2000 episodes; the last 100 are compared with episodes 41 to 50, rooms
// paired.
//
//   key_to_door_long_life --model w8-s31.int8.safetensors --seed 31 [--permuted 1] [--tasks 24000] [--temperature 2]
//                         [--episodes 2000] [--two-four] [--threads N] [--out out/compression] [--quick]
//
// The file holds a transformer, an integer model or a mixture of experts; --two-four lets a pruned transformer act with
// TwoFourLinear. `--seed` and `--tasks` are those of the model's training, so that its tasks stay apart. Appends a line
// of JSON to OUT/long_life.jsonl.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/int8_transformer.hpp>
#include <icrl/compress/sparse_model.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/mixture_transformer.hpp>

#include "support/key_to_door_recipe.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;

namespace {

struct Options {
  std::filesystem::path model, out = "out/compression";
  std::uint64_t seed = 1;
  int permuted = 1, tasks = 0, episodes = 2000, threads = 0;
  double temperature = 0;
  bool two_four = false, quick = false;
};

/// Calls `use(model)` with the model that acts.
template <typename Use>
decltype(auto) with_model(const Options& options, Use&& use) {
  const std::string kind = read_model_kind(options.model);
  if (options.two_four) return use(sparse_model<TwoFourLinear>(load_model<float>(options.model)));
  if (kind == Int8Transformer::kind) return use(load_model<Int8Transformer>(options.model));
  if (kind == MixtureTransformer<float>::kind) return use(load_model<MixtureTransformer<float>>(options.model));
  return use(load_model<float>(options.model));
}

void live(const Options& options) {
  const example::KeyToDoorRecipe recipe = example::key_to_door_recipe(options.permuted == 1, options.quick);
  const KeyToDoorRooms rooms{{.permuted_actions = options.permuted == 1}};
  const int rooms_to_live_in = options.quick ? 8 : 64;
  const TaskSplit split =
      split_tasks(rooms.task_count(), {.train = options.tasks > 0 ? options.tasks : recipe.task_count,
                                       .validation = rooms_to_live_in,
                                       .held_out = rooms_to_live_in,
                                       .seed = options.seed});
  const int episodes = options.quick ? 150 : options.episodes;
  const Decoding decoding{.temperature = options.temperature > 0 ? options.temperature : recipe.temperature};
  example::ProgressBar bar{"living"};
  const LearningCurves curves = with_model(options, [&](const auto& model) {
    const EvaluationConfig config{
        .runs = 1, .episodes = episodes, .seed = 1, .thread_count = options.threads, .group_size = rooms_to_live_in};
    return evaluate(model, rooms, split.held_out, config, decoding, bar.counter());
  });
  bar.clear();

  constexpr double highest_return = 2;
  std::vector<double> early = curves.mean_by_task(41, 50), late = curves.mean_by_task(episodes - 99, episodes);
  std::vector<double> change(early.size());
  for (std::size_t i = 0; i < early.size(); ++i) change[i] = (late[i] - early[i]) / highest_return;
  const Estimate difference = estimate_mean(change);
  const double early_share = mean(early) / highest_return, late_share = mean(late) / highest_return;
  fmt::print("{}: episodes 41 to 50 {:.4f}, the last 100 of {} {:.4f}; difference {:+.4f} [{:+.4f}, {:+.4f}]\n",
             options.model.filename().string(), early_share, episodes, late_share, difference.value,
             difference.interval.low, difference.interval.high);
  std::filesystem::create_directories(options.out);
  std::ofstream file{options.out / "long_life.jsonl", std::ios::app};
  file << Json{{"model", options.model.filename().string()},
               {"two_four", options.two_four},
               {"seed", options.seed},
               {"permuted", options.permuted},
               {"tasks", split.train.size()},
               {"temperature", decoding.temperature},
               {"episodes", episodes},
               {"early", early_share},
               {"late", late_share},
               {"difference", difference.value},
               {"low", difference.interval.low},
               {"high", difference.interval.high},
               {"worst_room_late", *std::min_element(late.begin(), late.end()) / highest_return},
               {"quick", options.quick},
               {"cpu", bench::processor_name()}}
              .dump()
       << '\n';
  if (!file.flush()) fail("long_life.jsonl in \"{}\": cannot be written", options.out.string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Whether a model of Key-to-Door still does late in a long life what it learned early"};
  Options options;
  app.add_option("--model", options.model, "file of the model")->required();
  app.add_option("--seed", options.seed, "of tasks: the model's, so that its training tasks stay apart");
  app.add_option("--tasks", options.tasks, "training tasks; 0: as many as the example")->check(CLI::Range(0, 1 << 20));
  app.add_option("--permuted", options.permuted, "1: which action makes which move is hidden")->check(CLI::Range(0, 1));
  app.add_option("--temperature", options.temperature, "of decoding; 0: the example's")->check(CLI::Range(0.0, 100.0));
  app.add_option("--episodes", options.episodes, "of each life")->check(CLI::Range(150, 1 << 20));
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::Range(0, 1024));
  app.add_flag("--two-four", options.two_four, "act with maps that skip two weights of four");
  app.add_option("--out", options.out, "folder of long_life.jsonl");
  app.add_flag("--quick", options.quick, "few and short lives: whether everything works");
  return bench::run_program(app, argc, argv, [&] { live(options); });
}
