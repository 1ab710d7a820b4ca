// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Two questions about a trained Key-to-Door model, answered in KL(model || rounded model) per step:
//
//   bits     which part of the model needs most bits: weights, or the tables of observations, actions and rewards?
//   ranges   do ranges of activations that were fixed in early episodes suffer later, when the agent knows its task?
//
//   key_to_door_questions --model teacher.safetensors [--seed 21] [--out out/compression] [--quick]
//
// Agents of the model itself make the windows: on training tasks for calibration, on validation tasks for the figures.
// Writes questions.json into the folder.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/compress/calibration.hpp>
#include <icrl/compress/fake_quant_transformer.hpp>
#include <icrl/compress/roll_out.hpp>
#include <icrl/compress/window_divergence.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/model_file.hpp>

#include "support/key_to_door_recipe.hpp"
#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

using Model = CausalTransformer<float>;
constexpr FakeQuant static_ranges{.bits = 8, .learns_steps = false, .inputs = InputRounding::learned_range};
constexpr FakeQuant range_per_token{.bits = 8, .learns_steps = false, .inputs = InputRounding::per_token};

struct Options {
  std::filesystem::path model, out = "out/compression";
  std::uint64_t seed = 21;
  int permuted = 1;
  bool quick = false;
};

/// Windows of the same lives: the first episodes of an agent with an empty memory, and the second half of a long life.
struct Windows {
  ContextBatch early, late;
};

Windows windows_of(const Model& model, std::span<const LearningHistory> lives, int count, std::uint64_t seed) {
  std::vector<HistoryView> views;
  for (const LearningHistory& life : lives) views.push_back(life.view());
  Windows windows;
  const WindowConfig config{.context = model.config.context, .use_expert_action = true};
  WindowConfig early = config, late = config;
  early.history_start_fraction = 1;
  late.history_start_fraction = 0;
  late.skip_fraction = 0.5;
  WindowSampler{views, model.layout, early}.sample(count, Rng{seed, 1}, windows.early);
  WindowSampler{views, model.layout, late}.sample(count, Rng{seed, 2}, windows.late);
  return windows;
}

/// Rounds `count` numbers, `stride` apart, to whole multiples of a step that lets the largest of them be 2^(bits-1)
/// - 1.
void round_numbers(float* numbers, Index count, Index stride, int bits) {
  const auto most = static_cast<float>((1 << (bits - 1)) - 1);
  float largest = 0;
  for (Index i = 0; i < count; ++i) largest = std::max(largest, std::abs(numbers[i * stride]));
  if (largest == 0) return;
  for (Index i = 0; i < count; ++i)
    numbers[i * stride] = std::nearbyint(numbers[i * stride] * most / largest) * largest / most;
}

/// The model with some of its tensors rounded: matrices of maps by output, tables of the embedding by row.
Model rounded(Model model, std::string_view part, int bits) {
  int tensors = 0;
  for_each_parameter(
      [&](std::string_view name, auto& tensor) {
        const bool is_embedding = name.starts_with("embedding.");
        const bool is_map = !is_embedding && name.ends_with(".weight");
        if (part == "weights" ? !is_map : !is_embedding || name.find(part) == name.npos) return;
        ++tensors;
        if (is_map) {
          for (Index o = 0; o < tensor.cols(); ++o)
            round_numbers(tensor.data() + o, tensor.rows(), tensor.cols(), bits);
        } else {
          for (Index i = 0; i < tensor.rows(); ++i)
            round_numbers(tensor.data() + i * tensor.cols(), tensor.cols(), 1, bits);
        }
      },
      model);
  if (tensors == 0) fail("questions: the model has no tensor of \"{}\"", part);
  return model;
}

Json bits_by_part(const Model& model, const Windows& windows) {
  Json rows = Json::array();
  fmt::print("KL per step of a model of which one part is rounded to the nearest\n{:<12}", "bits");
  const std::vector<std::string> parts{"weights", "observation", "action", "reward"};
  for (const std::string& part : parts) fmt::print("{:>14}", part);
  fmt::print("\n");
  for (const int bits : {8, 6, 5, 4, 3, 2}) {
    fmt::print("{:<12}", bits);
    Json row{{"bits", bits}};
    for (const std::string& part : parts) {
      const double kl = window_divergence(model, rounded(model, part, bits), windows.early);
      row[part] = kl;
      fmt::print("{:>14.2e}", kl);
    }
    fmt::print("\n");
    rows.push_back(row);
  }
  return rows;
}

Json ranges_by_episode(const Model& model, const Windows& calibrating, const Windows& windows) {
  Json rows = Json::array();
  fmt::print("\nKL per step with weights and activations of 8 bits\n{:<42}{:>14}{:>14}\n", "ranges of activations",
             "early", "late");
  const auto add = [&](const char* ranges, const auto& quantized) {
    const double early = window_divergence(model, quantized, windows.early),
                 late = window_divergence(model, quantized, windows.late);
    fmt::print("{:<42}{:>14.2e}{:>14.2e}\n", ranges, early, late);
    rows.push_back({{"ranges", ranges}, {"early", early}, {"late", late}});
  };
  const auto fixed = [&](std::initializer_list<const ContextBatch*> batches) {
    Calibration calibration{model};
    for (const ContextBatch* batch : batches) calibration.add(model, *batch);
    return to_fake_quant<FakeQuantTransformer<static_ranges>>(model, &calibration);
  };
  add("per token", to_fake_quant<FakeQuantTransformer<range_per_token>>(model));
  add("fixed, from the first episodes", fixed({&calibrating.early}));
  add("fixed, from late episodes", fixed({&calibrating.late}));
  add("fixed, from both", fixed({&calibrating.early, &calibrating.late}));
  return rows;
}

void answer(const Options& options) {
  const auto model = load_model<float>(options.model);
  const example::KeyToDoorRecipe recipe = example::key_to_door_recipe(options.permuted == 1, options.quick);
  const KeyToDoorRooms rooms{{.permuted_actions = options.permuted == 1}};
  const int lives = options.quick ? 4 : 64;
  const TaskSplit split = split_tasks(
      rooms.task_count(), {.train = recipe.task_count, .validation = 64, .held_out = 64, .seed = options.seed});
  const auto windows_on = [&](std::span<const int> tasks, std::uint64_t stream) {
    const RollOutConfig config{.episodes = options.quick ? 8 : 100,
                               .decoding = {.temperature = recipe.temperature},
                               .seed = options.seed,
                               .stream = stream};
    return windows_of(model, roll_out(model, model, rooms, tasks, config), lives, options.seed + stream);
  };
  const auto first = [&](std::span<const int> tasks) { return tasks.first(static_cast<std::size_t>(lives)); };
  const Windows calibrating = windows_on(first(split.train), 1), windows = windows_on(first(split.validation), 2);
  Json result{{"model", options.model.filename().string()}, {"seed", options.seed}, {"cpu", bench::processor_name()}};
  result["kl_by_bits"] = bits_by_part(model, windows);
  result["kl_by_ranges"] = ranges_by_episode(model, calibrating, windows);
  std::filesystem::create_directories(options.out);
  bench::write_text(options.out / "questions.json", result.dump(2) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Which parts of a model need most bits, and whether fixed ranges of activations suffer later"};
  Options options;
  app.add_option("--model", options.model, "file of a Key-to-Door model")->required();
  app.add_option("--out", options.out, "folder of the results");
  app.add_option("--seed", options.seed, "of tasks and lives: the model's, so that its training tasks stay apart");
  app.add_option("--permuted", options.permuted, "1: which action makes which move is hidden")->check(CLI::Range(0, 1));
  app.add_flag("--quick", options.quick, "few and short lives: whether everything works");
  return bench::run_program(app, argc, argv, [&] { answer(options); });
}
