// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Trains models for Key-to-Door, from scratch and from a teacher, compresses them, and measures how well they improve
// in context.
//
//   key_to_door_models --seed 1 --model "scratch-d16 d=16 l=4 updates=12000"
//     --model "soft-d16 d=16 l=4 updates=12000 mix=1 temperature=2"
//     --model "layers-0-1-2 keep=0,1,2 rate=1e-3 updates=1000"
//     --model "student from=soft-d16 mix=1 on_policy=0.5 rate=1e-3 updates=2000"
//     --model "four-bits from=layers-0-1-2 updates=0 bits=4"
//   options: [--teacher "teacher d=64 l=4 updates=6000"] [--out FOLDER] [--threads N] [--runs 8] [--evaluation-seeds 3]
//            [--temperatures 0.5,0.7,1,1.4,2] [--permuted 1] [--tasks N] [--teacher-only] [--quick]
//
// Keys of a model: model_spec.hpp; the models of the study: models.txt, which run.sh reads. Histories are recorded once
// per seed, a model is trained once and measured once, and an interrupted training goes on from its checkpoint: a
// program that was stopped is run again with the same options. One JSON line per model is appended to results.jsonl in
// the folder.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <icrl/compress/agreement.hpp>
#include <icrl/compress/judge.hpp>
#include <icrl/compress/sparse_model.hpp>
#include <icrl/eval/choose_temperature.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/io/json.hpp>

#include "compression/model_spec.hpp"
#include "compression/study_models.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;
using bench::ModelSpec;
using bench::StudyModel;

namespace {

struct Options : bench::StudyOptions {
  int runs = 8, evaluation_seeds = 3;
  bool teacher_only = false;
  std::string teacher = "teacher d=64 l=4 updates=6000";
  std::vector<std::string> models;
};

class Study {
public:
  explicit Study(const Options& options) : options_{options}, models_{options} {}

  void run() {
    const ModelSpec teacher_spec = bench::parse_model(options_.teacher);
    const StudyModel teacher = models_.make(teacher_spec, nullptr);
    measure(teacher_spec, teacher, teacher);
    if (options_.teacher_only) return;
    for (const std::string& line : options_.models) {
      const ModelSpec spec = bench::parse_model(line);
      measure(spec, models_.make(spec, &teacher), teacher);
    }
  }

private:
  [[nodiscard]] int runs() const { return options_.quick ? 1 : options_.runs; }

  [[nodiscard]] bool is_measured(const ModelSpec& spec, const StudyModel& made, const StudyModel& teacher) const {
    std::ifstream file{options_.out / "results.jsonl"};
    for (std::string line; std::getline(file, line);) {
      const Json row = parse_json(line, "results.jsonl");
      if (row.at("name") != spec.name || row.at("seed") != options_.seed) continue;
      for (const auto& [key, wanted] : {std::pair{"origin", made.origin}, std::pair{"settings", settings(teacher)}}) {
        if (const auto found = row.value(key, std::string{}); found != wanted) {
          fail("results.jsonl: model {} of seed {} was measured otherwise ({}), now wanted: {} (choose another --out)",
               spec.name, options_.seed, found, wanted);
        }
      }
      return true;
    }
    return false;
  }

  /// What a row depends on beside its model.
  [[nodiscard]] std::string settings(const StudyModel& teacher) const {
    return fmt::format("{}; {} evaluations with {} runs; temperatures {}; compared with {}", models_.settings(),
                       options_.evaluation_seeds, runs(), fmt::join(options_.temperatures, ", "), teacher.origin);
  }

  /// Of the model in the form that acts quickest: maps that skip zeros where the pattern has kernels.
  void time(const ModelSpec& spec, const StudyModel& made, const StudyModel& teacher, ModelFigures& of_teacher,
            ModelFigures& of_model) const {
    const auto in_turns = [&](const auto& model) {
      detail::time_actions(teacher.model, model, models_.rooms(), models_.held_out().front(), options_.quick ? 8 : 8000,
                           of_teacher, of_model);
    };
    if (made.integers || spec.sparsity == 0 || spec.pattern == "single") return made.with_model(in_turns);
    if (spec.pattern == "blocks") return in_turns(sparse_model<BlockSparseLinear>(made.model));
    in_turns(sparse_model<TwoFourLinear>(made.model));
  }

  /// On validation tasks, with a quarter of the runs of a measurement.
  [[nodiscard]] TemperatureChoice choice_for(const ModelSpec& spec, const StudyModel& made) const {
    example::ProgressBar bar{spec.name + " in validation rooms"};
    const EvaluationConfig config{.runs = std::max(1, runs() / 4),
                                  .episodes = options_.quick ? 4 : 100,
                                  .seed = 1,
                                  .thread_count = options_.threads};
    return made.with_model([&](const auto& model) {
      return choose_temperature(model, models_.rooms(), models_.validation(), options_.temperatures, config, {},
                                bar.counter());
    });
  }

  void measure(const ModelSpec& spec, const StudyModel& made, const StudyModel& teacher) const {
    if (is_measured(spec, made, teacher)) return;
    const TemperatureChoice choice = choice_for(spec, made);
    const Decoding decoding{.temperature = choice.temperature};
    Json validation = Json::object();
    for (const TemperatureScore& score : choice.scores)
      validation[fmt::format("{}", score.temperature)] = score.mean_return.value / 2;
    const int episodes = options_.quick ? 20 : 100;
    std::vector<double> by_task(models_.held_out().size()), by_episode(static_cast<std::size_t>(episodes));
    example::ProgressBar bar{spec.name + " in new rooms"};
    for (int seed = 1; seed <= options_.evaluation_seeds; ++seed) {
      const LearningCurves curves = made.with_model([&](const auto& model) {
        return evaluate(model, models_.rooms(), models_.held_out(),
                        {.runs = runs(),
                         .episodes = episodes,
                         .seed = static_cast<std::uint64_t>(seed),
                         .thread_count = options_.threads},
                        decoding, bar.counter());
      });
      const auto add = [&](const std::vector<double>& returns, std::vector<double>& means) {
        for (std::size_t i = 0; i < means.size(); ++i) means[i] += returns[i] / 2 / options_.evaluation_seeds;
      };
      add(curves.mean_by_task(1, episodes), by_task);
      add(curves.mean_by_episode(), by_episode);
    }
    bar.clear();
    const Estimate nauc = estimate_mean(by_task);
    const Agreement agreement = made.with_model([&](const auto& model) {
      return measure_agreement(
          teacher.model, model, models_.rooms(), models_.held_out(),
          {.episodes = options_.quick ? 4 : 30, .decoding = decoding, .seed = 1, .thread_count = options_.threads});
    });
    ModelFigures of_teacher, of_model;
    time(spec, made, teacher, of_teacher, of_model);
    const TransformerConfig& shape = made.model.config;
    const Json row{{"name", spec.name},
                   {"seed", options_.seed},
                   {"spec", spec.text},
                   {"origin", made.origin},
                   {"settings", settings(teacher)},
                   {"shape", fmt::format("d{} L{} H{} F{} T{}", shape.width, shape.layer_count, shape.head_count,
                                         shape.hidden_size(), shape.context)},
                   {"weights", parameter_count(made.model)},
                   {"bytes", std::filesystem::file_size(made.file)},
                   {"us_per_action", of_model.us_per_action},
                   {"teacher_us_per_action", of_teacher.us_per_action},
                   {"updates", models_.updates_of(spec)},
                   {"train_seconds", made.seconds},
                   {"total_seconds", made.total_seconds},
                   {"teacher_seconds", made.teacher_seconds},
                   {"nauc", nauc.value},
                   {"low", nauc.interval.low},
                   {"high", nauc.interval.high},
                   {"worst_task", *std::min_element(by_task.begin(), by_task.end())},
                   {"kl_to_teacher", agreement.kl},
                   {"agreement", agreement.share},
                   {"temperature", decoding.temperature},
                   {"validation_nauc_by_temperature", validation},
                   {"lives", by_task.size() * static_cast<std::size_t>(runs() * options_.evaluation_seeds)},
                   {"nauc_by_task", by_task},
                   {"nauc_by_episode", by_episode},
                   {"quick", options_.quick},
                   {"cpu", bench::processor_name()}};
    std::ofstream file{options_.out / "results.jsonl", std::ios::app};
    file << row.dump() << '\n';
    if (!file.flush()) fail("results.jsonl in \"{}\": cannot be written", options_.out.string());
    fmt::print(
        "{:<24} {:>8} bytes  {:>6.1f} us ({:.2f} x)  NAUC {:.4f} ({:.4f} .. {:.4f}) at temperature {:.1f}  KL {:.2e}  "
        "agreement {:.4f}  {:.0f} s\n",
        spec.name, std::filesystem::file_size(made.file), of_model.us_per_action,
        of_model.us_per_action / of_teacher.us_per_action, nauc.value, nauc.interval.low, nauc.interval.high,
        decoding.temperature, agreement.kl, agreement.share, made.total_seconds);
    std::fflush(stdout);
  }

  Options options_;
  bench::StudyModels models_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Trains models for Key-to-Door, from scratch and from a teacher, and measures how they improve in context"};
  Options options;
  app.add_option("--out", options.out, "folder of histories, models and results");
  app.add_option("--seed", options.seed, "of tasks, weights and windows");
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::Range(0, 1024));
  app.add_option("--permuted", options.permuted, "1: which action makes which move is hidden")->check(CLI::Range(0, 1));
  app.add_option("--tasks", options.task_count, "training tasks; 0: as many as the example")
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--runs", options.runs, "lives on each held-out task per evaluation seed")->check(bench::counts);
  app.add_option("--evaluation-seeds", options.evaluation_seeds, "evaluations that are averaged")->check(bench::counts);
  app.add_option("--temperatures", options.temperatures,
                 "of decoding, among which validation tasks choose, model by model")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--teacher", options.teacher, "the teacher, as --model");
  app.add_option("--model", options.models, "a model: \"NAME d=16 l=4 updates=12000 mix=1 temperature=2\"; repeatable");
  app.add_flag("--teacher-only", options.teacher_only, "train and measure the teacher, no other");
  app.add_flag("--quick", options.quick, "a few updates and lives: whether everything works");
  return bench::run_program(app, argc, argv, [&] { Study{options}.run(); });
}
