// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Makes a trained model a fraction of its size and shows that it still learns in context. The task is Key-to-Door with
// permuted actions, where size costs something. One of four layers is removed, the rest is trained further, then
// weights are rounded to 4 bits, and activations, keys and values to 8.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/compress/compress.hpp>
#include <icrl/compress/judge.hpp>
#include <icrl/compress/write_cpp.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/io/json_text.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/collect_images.hpp>

#include "support/key_to_door_recipe.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace icrl;

namespace {

struct Settings {
  std::filesystem::path teacher = "out/080_key_to_door/key_to_door.safetensors";
  int layers = 3;
  int updates = 0;  // of fine-tuning; 0: as many as the task needs
  int bits = 4;
  std::filesystem::path cpp;  // where to write the result as a C++ header; empty: nowhere
};

/// Shows which update of which step is under way.
struct CompressionProgress {
  example::ProgressBar bar{"compressing"};
  std::size_t updates;
  std::string step;

  void on_step(int number, std::string_view name) { step = fmt::format("step {}: {}", number, name); }
  void on_update(const DistilMetrics& metrics) {
    bar.show(static_cast<std::size_t>(metrics.update), updates,
             fmt::format("{}, loss {:.3f}, {:.0f} tokens/s", step, metrics.loss, metrics.tokens_per_second));
  }
};

/// The model of the Key-to-Door example if there is one with permuted actions, else a new one.
CausalTransformer<float> load_or_train(const std::filesystem::path& path, const StepLayout& layout,
                                       const example::KeyToDoorRecipe& recipe, const WindowSampler& sampler,
                                       const example::Options& options) {
  if (!options.quick && std::filesystem::exists(path)) {
    const ModelInfo info = read_model_info(path);
    const auto says = [&](const char* key, const std::string& value) {
      const auto found = info.metadata.find(key);
      return found != info.metadata.end() && found->second == value;
    };
    // Of another seed, it may have been trained on the tasks that are held out here; after fewer updates, it has hardly
    // learned.
    if (says("permuted", "1") && says("seed", fmt::format("{}", options.seed)) && says("quick", "0") &&
        says("updates", fmt::format("{}", recipe.updates))) {
      fmt::print("original   {}\n", path.string());
      return load_model<float>(path);
    }
    fmt::print("original   {} is not of permuted actions, seed {} and {} updates; another one is trained\n",
               path.string(), options.seed, recipe.updates);
  }
  CausalTransformer<float> model{{.context = recipe.context}, layout};
  Rng rng{options.seed};
  model.initialize(rng);
  CompressionProgress progress{.updates = static_cast<std::size_t>(recipe.updates), .step = "training the original"};
  const DistilResult trained = distil(
      model, sampler, example::key_to_door_training(recipe, options.quick, options.seed, options.threads), progress);
  progress.bar.clear();
  fmt::print("original   trained in {:.0f} s\n", trained.train_seconds);
  return model;
}

Recipe recipe_for(const Settings& settings, const example::KeyToDoorRecipe& recipe, const example::Options& options) {
  DistilConfig training = example::key_to_door_training(recipe, options.quick, options.seed + 1, options.threads);
  training.updates = settings.updates;
  training.warmup = std::min(100, settings.updates / 2);
  training.learning_rate = 2e-3;
  const int windows = options.quick ? 8 : 128;
  const WeightQuantization rounding{.bits = settings.bits, .rounding = Rounding::gptq};
  return {{KeepBestParts{.counts = {.layers = settings.layers}, .windows = windows},
           FineTune{.training = training, .labels = {.mix = 0.5}},
           Quantize{.rules = {{.pattern = "*", .how = rounding}}, .windows = windows}}};
}

/// Mean return over all episodes, as a share of the highest one, 2.
double nauc(const ModelFigures& figures) { return mean(figures.return_by_episode) / 2; }

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Compresses a model and shows that it still learns in context", "out/090_compress"};
  Settings settings;
  program.add("--teacher", settings.teacher, "the original's model file; without it one is trained");
  program.add("--layers", settings.layers, "layers that are kept, of 4", 1, 4);
  program.add("--updates", settings.updates, "updates of training after that; 0: 2000", 0, 1000000);
  program.add("--bits", settings.bits, "bits per weight: 8, 4, 3 or 2", 2, 8);
  program.add("--cpp", settings.cpp, "writes the result as a C++ header for devices, to this file");

  return program.run(argc, argv, [&](const example::Options& options) {
    const auto begin = std::chrono::steady_clock::now();
    (void)code_range(settings.bits);  // refuses what weights cannot have, before minutes are spent
    if (settings.updates == 0) settings.updates = options.quick ? 4 : 2000;
    const example::KeyToDoorRecipe recipe = example::key_to_door_recipe(/*permuted*/ true, options.quick);
    const KeyToDoorRooms rooms{{.permuted_actions = true}};
    const TaskSplit split = split_tasks(
        rooms.task_count(),
        {.train = recipe.task_count, .validation = 64, .held_out = options.quick ? 8 : 64, .seed = options.seed});

    example::ProgressBar recording{"recording"};
    const auto [histories, image_counts] =
        example::with_key_to_door_source(true, recipe.max_noise, [&](auto make_learner) {
          return collect_with_images(rooms, split.train, make_learner,
                                     example::key_to_door_collection(recipe, options.seed, options.threads),
                                     recording.counter());
        });
    recording.clear();
    std::vector<HistoryView> views;
    for (const LearningHistory& history : histories) views.push_back(history.view());
    const KeyToDoor room = rooms.make(0);
    const StepLayout layout{.observation_space = room.observation_space(), .action_space = room.action_space()};
    const WindowSampler sampler{views, layout, example::key_to_door_windows(recipe)};
    const CausalTransformer<float> original = load_or_train(settings.teacher, layout, recipe, sampler, options);

    CompressionProgress progress{.updates = static_cast<std::size_t>(settings.updates), .step = {}};
    const Compressed small = compress(original, recipe_for(settings, recipe, options), sampler, options.seed, progress);
    progress.bar.clear();
    for (const StepReport& step : small.steps) {
      fmt::print("{:<17} {:>7} weights, KL to the original {:.2e} per step, {:.0f} s\n", step.name, step.weight_count,
                 step.kl, step.seconds);
    }
    const std::filesystem::path original_file = options.out / "original.safetensors",
                                small_file = options.out / "compressed.safetensors";
    save_model(original, original_file);
    small.with_model([&](const auto& model) { save_model(model, small_file); });
    if (!settings.cpp.empty()) {
      const CppHeader header =
          write_cpp(small.integers.value(), settings.cpp, {.decoding = {.temperature = recipe.temperature}});
      fmt::print("{}: {} bytes of flash, {} bytes of RAM per agent\n", settings.cpp.string(), header.flash_bytes,
                 header.ram_bytes);
    }

    example::ProgressBar acting{"acting in new rooms"};
    JudgeConfig judging{.evaluation = {.runs = options.quick ? 1 : 4,
                                       .episodes = options.quick ? 20 : 100,
                                       .seed = options.seed,
                                       .thread_count = options.threads},
                        .decoding = {.temperature = recipe.temperature},
                        .timed_steps = options.quick ? 8 : 4000};
    judging.agreement = {.episodes = options.quick ? 2 : 14,
                         .decoding = judging.decoding,
                         .seed = options.seed,
                         .thread_count = options.threads};
    const CompressionReport report = small.with_model(
        [&](const auto& model) { return judge(original, model, rooms, split.held_out, judging, acting.counter()); });
    acting.clear();

    const auto print = [&](const char* name, const ModelFigures& figures, const std::filesystem::path& file) {
      fmt::print(
          "{:<10} NAUC {:.3f}, worst task {:.2f}, last ten episodes {:.3f} of the oracle; {} bytes, {:.1f} us per "
          "action (99th percentile {:.1f})\n",
          name, nauc(figures), figures.worst_task, figures.last_ten.value, std::filesystem::file_size(file),
          figures.us_per_action, figures.us_per_action_p99);
    };
    print("original", report.original, original_file);
    print("compressed", report.compressed, small_file);
    if (report.area_ratio) {
      fmt::print("           {:.3f} [{:.3f}, {:.3f}] of the original's curve\n", report.area_ratio->value,
                 report.area_ratio->interval.low, report.area_ratio->interval.high);
    }
    fmt::print("           equal actions in {:.1f} % of the steps, KL {:.2e}{}\n", 100 * report.agreement.share,
               report.agreement.kl, report.agrees_but_improves_less() ? "; steps agree, and improvement is lost" : "");

    Plot plot{.title = "A compressed model still finds key and door: new tasks, permuted actions",
              .y_label = "return of an episode (mean)"};
    plot.series = {{.name = "original", .y = report.original.return_by_episode, .stroke = PlotStroke::dashed},
                   {.name = "compressed", .y = report.compressed.return_by_episode}};
    const ReferenceReturns references = reference_returns(rooms, split.held_out);
    plot.levels = {{"oracle", mean(references.oracle)}, {"random", mean(references.random)}};
    example::write_text(options.out / "curves.svg", to_svg(plot));
    example::write_text(options.out / "curves.csv", to_csv(plot));
    const auto figures = [&](const ModelFigures& model, const std::filesystem::path& file) {
      return json_object({{"nauc", nauc(model)},
                          {"bytes", static_cast<std::int64_t>(std::filesystem::file_size(file))},
                          {"us_per_action", model.us_per_action},
                          {"us_per_action_p99", model.us_per_action_p99},
                          {"worst_task", model.worst_task},
                          {"return_by_episode", model.return_by_episode}});
    };
    const Estimate ratio = report.area_ratio.value_or(Estimate{});
    example::write_summary(options.out, {{"seed", options.seed},
                                         {"quick", options.quick},
                                         {"teacher", figures(report.original, original_file)},
                                         {"compressed", figures(report.compressed, small_file)},
                                         {"ratio", ratio.value},
                                         {"ratio_low", ratio.interval.low},
                                         {"ratio_high", ratio.interval.high},
                                         {"agreement", report.agreement.share},
                                         {"kl", report.agreement.kl}});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    fmt::print("\n{}\nIn {:.0f} s. Picture, numbers and model: {}\n",
               to_terminal(plot, {.has_color = isatty(STDOUT_FILENO) == 1}), seconds.count(), options.out.string());
  });
}
