// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Trains models for Key-to-Door, from scratch and from a teacher, and measures how well they improve in context.
//
//   compression_key_to_door --seed 1 --model "scratch-d16 d=16 l=4 updates=12000"
//     --model "soft-d16 d=16 l=4 updates=12000 mix=1 temperature=2" --model "layers-0-2 keep=0,2 rate=1e-3
//     updates=1000"
//     --model "student from=soft-d16 mix=1 on_policy=0.5 rate=1e-3 updates=2000"
//   options: [--teacher "teacher d=64 l=4 updates=8000"] [--out FOLDER] [--threads N] [--runs 4] [--evaluation-seeds 3]
//            [--temperature 1] [--permuted 1] [--tasks N] [--teacher-only] [--quick]
//
// Keys of a model: model_spec.hpp. Histories are recorded once per seed, a model is trained once and measured once, and
// an interrupted training goes on from its checkpoint: a program that was stopped is run again with the same options.
// One JSON line per model is appended to results.jsonl in the folder.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/agreement.hpp>
#include <icrl/compress/on_policy.hpp>
#include <icrl/compress/smaller_model.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect_images.hpp>
#include <icrl/model/causal_transformer.hpp>

#include "compression/model_spec.hpp"
#include "support/key_to_door_recipe.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;
using bench::ModelSpec;
using Model = CausalTransformer<float>;

namespace {

struct Options {
  std::filesystem::path out = "out/compression";
  std::uint64_t seed = 1;
  int threads = 0, permuted = 1, task_count = 0, runs = 4, evaluation_seeds = 3;
  double temperature = 1;
  bool quick = false, teacher_only = false;
  std::string teacher = "teacher d=64 l=4 updates=8000";
  std::vector<std::string> models;
};

/// A trained model, and what it cost.
struct Trained {
  Model model;
  std::filesystem::path file;
  double seconds = 0;        ///< of its own updates and roll-outs
  double total_seconds = 0;  ///< with those of the model that it began with
};

/// Shows how training goes, and takes the time of roll-outs, which a trainer does not count.
struct Observer {
  example::ProgressBar bar;
  std::size_t updates;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
  double roll_out_seconds = 0;

  void on_update(const DistilMetrics& metrics) {
    bar.show(static_cast<std::size_t>(metrics.update), updates, fmt::format("loss {:.3f}", metrics.loss));
    last = std::chrono::steady_clock::now();
  }
  void on_roll_out(int, std::span<const LearningHistory>) {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - last;
    roll_out_seconds += seconds.count();
  }
};

class Study {
public:
  explicit Study(const Options& options)
      : options_{options},
        recipe_{example::key_to_door_recipe(options.permuted == 1, options.quick)},
        rooms_{{.permuted_actions = options.permuted == 1}} {
    if (options.task_count > 0) recipe_.task_count = options.task_count;
    split_ = split_tasks(
        rooms_.task_count(),
        {.train = recipe_.task_count, .validation = 64, .held_out = options.quick ? 8 : 64, .seed = options.seed});
    const KeyToDoor room = rooms_.make(0);
    layout_ = {.observation_space = room.observation_space(), .action_space = room.action_space()};
    std::filesystem::create_directories(options.out);
    record();
  }

  void run() {
    const ModelSpec teacher_spec = bench::parse_model(options_.teacher);
    const Trained teacher = trained(teacher_spec, nullptr);
    measure(teacher_spec, teacher, teacher);
    if (options_.teacher_only) return;
    for (const std::string& line : options_.models) {
      const ModelSpec spec = bench::parse_model(line);
      measure(spec, trained(spec, &teacher), teacher);
    }
  }

private:
  [[nodiscard]] std::filesystem::path file_of(const std::string& name, const char* ending) const {
    return options_.out / fmt::format("{}-s{}.{}", name, options_.seed, ending);
  }

  [[nodiscard]] int updates_of(const ModelSpec& spec) const { return options_.quick ? 4 : spec.updates; }
  [[nodiscard]] int runs() const { return options_.quick ? 1 : options_.runs; }

  /// The file has its name once it is whole.
  void record() {
    const std::filesystem::path path = file_of(fmt::format("histories-{}", recipe_.task_count), "icrl");
    if (!std::filesystem::exists(path)) {
      const std::filesystem::path partial = path.string() + ".partial";
      std::filesystem::remove(partial);
      example::ProgressBar bar{"recording"};
      {
        HistoryWriter writer{partial};
        example::with_key_to_door_source(options_.permuted == 1, recipe_.max_noise, [&](auto make_learner) {
          (void)collect_with_images_to(writer, rooms_, split_.train, make_learner,
                                       example::key_to_door_collection(recipe_, options_.seed, options_.threads),
                                       bar.counter());
        });
      }
      std::filesystem::rename(partial, path);
    }
    histories_.emplace(path);
  }

  [[nodiscard]] Model initial_model(const ModelSpec& spec, const Trained* teacher) const {
    if (!spec.from.empty()) return load_model<float>(file_of(spec.from, "safetensors"));
    if (!spec.keep.empty()) {
      KeptParts kept = all_parts(teacher->model.config);
      kept.layers = spec.keep;
      return smaller_model(teacher->model, kept);
    }
    Model model{{.width = spec.width,
                 .layer_count = spec.layers,
                 .head_count = spec.heads,
                 .hidden = spec.hidden,
                 .context = spec.context},
                layout_};
    Rng rng{options_.seed};
    model.initialize(rng);
    return model;
  }

  /// From its file, if it is there.
  [[nodiscard]] Trained trained(const ModelSpec& spec, const Trained* teacher) const {
    if (spec.wants_teacher() && teacher == nullptr) fail("model \"{}\": a teacher has no teacher", spec.text);
    const std::filesystem::path path = file_of(spec.name, "safetensors");
    if (std::filesystem::exists(path)) {
      const Metadata metadata = read_model_info(path).metadata;
      if (metadata.at("spec") != spec.text) {
        fail("model file \"{}\": is of \"{}\", wanted is \"{}\" (give it another name, or remove the file)",
             path.string(), metadata.at("spec"), spec.text);
      }
      return {load_model<float>(path), path, std::stod(metadata.at("train_seconds")),
              std::stod(metadata.at("total_seconds"))};
    }
    Model model = initial_model(spec, teacher);
    example::KeyToDoorRecipe recipe = recipe_;
    recipe.context = model.config.context;
    const WindowConfig windows = example::key_to_door_windows(recipe);
    recipe.updates = updates_of(spec);
    DistilConfig config = example::key_to_door_training(recipe, options_.quick, options_.seed, options_.threads);
    config.learning_rate = spec.rate;
    config.warmup = std::min(spec.warmup, recipe.updates / 2);
    if (!options_.quick) config.batch = spec.batch;
    config.checkpoint = file_of(spec.name, "checkpoint");
    config.checkpoint_every = 500;
    const double seconds = train(model, spec, windows, config, teacher);

    double total = seconds;
    if (!spec.from.empty()) {
      const Metadata metadata = read_model_info(file_of(spec.from, "safetensors")).metadata;
      total += std::stod(metadata.at("total_seconds"));
    }
    save_model(model, path,
               {{"spec", spec.text},
                {"train_seconds", fmt::format("{}", seconds)},
                {"total_seconds", fmt::format("{}", total)}});
    std::filesystem::remove(config.checkpoint);
    return {std::move(model), path, seconds, total};
  }

  /// Returns the seconds that it took.
  double train(Model& model, const ModelSpec& spec, const WindowConfig& windows, const DistilConfig& config,
               const Trained* teacher) const {
    Observer observer{.bar = example::ProgressBar{spec.name}, .updates = static_cast<std::size_t>(config.updates)};
    const std::vector<HistoryView> histories = histories_->histories();
    const SoftLabelConfig labels{.temperature = spec.temperature, .mix = spec.mix, .beta = spec.beta};
    if (spec.on_policy > 0) {
      const OnPolicyConfig on_policy{.student_fraction = spec.on_policy,
                                     .updates_per_round = spec.round,
                                     .histories_per_round = options_.quick ? 4 : spec.lives,
                                     .episodes = recipe_.episodes,
                                     .decoding = {.temperature = options_.temperature},
                                     .seed = options_.seed};
      const DistilResult result = on_policy_distil(model, SoftLabels{teacher->model, labels}, rooms_, split_.train,
                                                   histories, windows, config, on_policy, observer);
      return result.train_seconds + observer.roll_out_seconds;
    }
    const WindowSampler sampler{histories, layout_, windows};
    return (spec.mix > 0 ? distil(model, sampler, config, observer, SoftLabels{teacher->model, labels})
                         : distil(model, sampler, config, observer))
        .train_seconds;
  }

  [[nodiscard]] bool is_measured(const ModelSpec& spec) const {
    std::ifstream file{options_.out / "results.jsonl"};
    for (std::string line; std::getline(file, line);) {
      const Json row = parse_json(line, "results.jsonl");
      if (row.at("name") == spec.name && row.at("seed") == options_.seed) return true;
    }
    return false;
  }

  void measure(const ModelSpec& spec, const Trained& trained, const Trained& teacher) const {
    if (is_measured(spec)) return;
    const Decoding decoding{.temperature = options_.temperature};
    const int episodes = options_.quick ? 20 : 100;
    std::vector<double> by_task(split_.held_out.size()), by_episode(static_cast<std::size_t>(episodes));
    example::ProgressBar bar{spec.name + " in new rooms"};
    for (int seed = 1; seed <= options_.evaluation_seeds; ++seed) {
      const LearningCurves curves = evaluate(trained.model, rooms_, split_.held_out,
                                             {.runs = runs(),
                                              .episodes = episodes,
                                              .seed = static_cast<std::uint64_t>(seed),
                                              .thread_count = options_.threads},
                                             decoding, bar.counter());
      const auto add = [&](const std::vector<double>& returns, std::vector<double>& means) {
        for (std::size_t i = 0; i < means.size(); ++i) means[i] += returns[i] / 2 / options_.evaluation_seeds;
      };
      add(curves.mean_by_task(1, episodes), by_task);
      add(curves.mean_by_episode(), by_episode);
    }
    bar.clear();
    const Estimate nauc = estimate_mean(by_task);
    const Agreement agreement = measure_agreement(
        teacher.model, trained.model, rooms_, split_.held_out,
        {.episodes = options_.quick ? 4 : 30, .decoding = decoding, .seed = 1, .thread_count = options_.threads});
    const TransformerConfig& shape = trained.model.config;
    const Json row{{"name", spec.name},
                   {"seed", options_.seed},
                   {"spec", spec.text},
                   {"shape", fmt::format("d{} L{} H{} F{} T{}", shape.width, shape.layer_count, shape.head_count,
                                         shape.hidden_size(), shape.context)},
                   {"weights", parameter_count(trained.model)},
                   {"bytes", std::filesystem::file_size(trained.file)},
                   {"updates", updates_of(spec)},
                   {"train_seconds", trained.seconds},
                   {"total_seconds", trained.total_seconds},
                   {"teacher_seconds", spec.wants_teacher() ? teacher.total_seconds : 0},
                   {"nauc", nauc.value},
                   {"low", nauc.interval.low},
                   {"high", nauc.interval.high},
                   {"worst_task", *std::min_element(by_task.begin(), by_task.end())},
                   {"kl_to_teacher", agreement.kl},
                   {"agreement", agreement.share},
                   {"temperature", options_.temperature},
                   {"lives", by_task.size() * static_cast<std::size_t>(runs() * options_.evaluation_seeds)},
                   {"nauc_by_task", by_task},
                   {"nauc_by_episode", by_episode},
                   {"quick", options_.quick},
                   {"cpu", bench::processor_name()}};
    std::ofstream file{options_.out / "results.jsonl", std::ios::app};
    file << row.dump() << '\n';
    if (!file.flush()) fail("results.jsonl in \"{}\": cannot be written", options_.out.string());
    fmt::print("{:<24} {:>8} weights  NAUC {:.4f} ({:.4f} .. {:.4f})  KL {:.2e}  agreement {:.4f}  {:.0f} s\n",
               spec.name, parameter_count(trained.model), nauc.value, nauc.interval.low, nauc.interval.high,
               agreement.kl, agreement.share, trained.total_seconds);
    std::fflush(stdout);
  }

  Options options_;
  example::KeyToDoorRecipe recipe_;
  KeyToDoorRooms rooms_;
  TaskSplit split_;
  StepLayout layout_;
  std::optional<HistoryFile> histories_;
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
  app.add_option("--temperature", options.temperature, "of decoding")->check(CLI::Range(0.0, 100.0));
  app.add_option("--teacher", options.teacher, "the teacher, as --model");
  app.add_option("--model", options.models, "a model: \"NAME d=16 l=4 updates=12000 mix=1 temperature=2\"; repeatable");
  app.add_flag("--teacher-only", options.teacher_only, "train and measure the teacher, no other");
  app.add_flag("--quick", options.quick, "a few updates and lives: whether everything works");
  return bench::run_program(app, argc, argv, [&] { Study{options}.run(); });
}
