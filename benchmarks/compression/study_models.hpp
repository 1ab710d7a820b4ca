// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/bitmap_transformer.hpp>
#include <icrl/compress/fake_quant_transformer.hpp>
#include <icrl/compress/gradual_pruning.hpp>
#include <icrl/compress/on_policy.hpp>
#include <icrl/compress/part_scores.hpp>
#include <icrl/compress/soft_labels.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/learner/collect_images.hpp>
#include <icrl/train/distil.hpp>

#include "compression/model_spec.hpp"
#include "compression/study_model.hpp"
#include "support/key_to_door_recipe.hpp"
#include "support/progress.hpp"

namespace icrl::bench {

/// Makes the models of a study on Key-to-Door: records histories once, trains a model once, and goes on with an
/// interrupted training from its checkpoint.
class StudyModels {
public:
  explicit StudyModels(const StudyOptions& options)
      : options_{options},
        recipe_{example::key_to_door_recipe(options.permuted == 1, options.quick)},
        rooms_{{.permuted_actions = options.permuted == 1}} {
    if (options.task_count > 0) recipe_.task_count = options.task_count;
    split_ = split_tasks(rooms_.task_count(), {.train = recipe_.task_count,
                                               .validation = options.quick ? 8 : 64,
                                               .held_out = options.quick ? 8 : 64,
                                               .seed = options.seed});
    const KeyToDoor room = rooms_.make(0);
    layout_ = {.observation_space = room.observation_space(), .action_space = room.action_space()};
    std::filesystem::create_directories(options.out);
    record();
  }

  [[nodiscard]] const KeyToDoorRooms& rooms() const { return rooms_; }
  [[nodiscard]] const std::vector<int>& held_out() const { return split_.held_out; }
  [[nodiscard]] const std::vector<int>& validation() const { return split_.validation; }
  /// What all models of a study share.
  [[nodiscard]] std::string settings() const {
    return fmt::format("{} actions, {} training tasks{}", options_.permuted == 1 ? "permuted" : "plain",
                       recipe_.task_count, options_.quick ? ", quick" : "");
  }
  [[nodiscard]] int updates_of(const ModelSpec& spec) const {
    return options_.quick ? std::min(spec.updates, 4) : spec.updates;
  }

  /// From its file, if it is there. The teacher itself has none.
  [[nodiscard]] StudyModel make(const ModelSpec& spec, const StudyModel* teacher) const {
    if (spec.wants_teacher() && teacher == nullptr) fail("model \"{}\": a teacher has no teacher", spec.text);
    if (spec.sparsity != 0 && teacher == nullptr) fail("model \"{}\": a teacher is not pruned", spec.text);
    const std::filesystem::path path = file_of(spec.name, "safetensors");
    const std::string origin = origin_of(spec, teacher);
    if (!std::filesystem::exists(path)) save(spec, origin, trained(spec, origin, teacher), path);
    const Metadata metadata = metadata_of(spec.name);
    if (metadata.at("origin") != origin) {
      fail("model file \"{}\": is of \"{}\", wanted is \"{}\" (give it another name, or remove the file)",
           path.string(), metadata.at("origin"), origin);
    }
    StudyModel made{.model = load_model<float>(path),
                    .file = path,
                    .origin = origin,
                    .seconds = std::stod(metadata.at("train_seconds")),
                    .total_seconds = std::stod(metadata.at("total_seconds")),
                    .teacher_seconds = std::stod(metadata.at("teacher_seconds"))};
    if (spec.bits != 0) {
      made.file = file_of(spec.name, "int8.safetensors");
      made.integers = load_model<Int8Transformer>(made.file);
    } else if (spec.sparsity != 0) {
      made.file = file_of(spec.name, "bitmap.safetensors");
      save_model(BitmapTransformer{made.model}, made.file);
    }
    return made;
  }

private:
  /// The line of a model, and those of all that it was made from.
  [[nodiscard]] std::string origin_of(const ModelSpec& spec, const StudyModel* teacher) const {
    std::string origin = spec.text;
    if (spec.wants_teacher()) origin += fmt::format("; teacher: {}", teacher->origin);
    if (!spec.from.empty()) origin += fmt::format("; from: {}", metadata_of(spec.from).at("origin"));
    return origin;
  }

  /// Of a model's file. Throws Error for one that was made in another study.
  [[nodiscard]] Metadata metadata_of(const std::string& name) const {
    const std::filesystem::path path = file_of(name, "safetensors");
    Metadata metadata = read_model_info(path).metadata;
    const auto made_for = metadata.find("study");
    if (made_for == metadata.end() || made_for->second != settings() || !metadata.contains("origin")) {
      fail("model file \"{}\": was made in another study ({}), this one has {} (choose another --out)", path.string(),
           made_for == metadata.end() ? "which is not noted" : made_for->second, settings());
    }
    return metadata;
  }

  [[nodiscard]] std::filesystem::path file_of(const std::string& name, const char* ending) const {
    return options_.out / fmt::format("{}-s{}.{}", name, options_.seed, ending);
  }

  /// The file has its name once it is whole.
  void record() {
    const std::filesystem::path path = file_of(
        fmt::format("histories-{}-{}", options_.permuted == 1 ? "permuted" : "plain", recipe_.task_count), "icrl");
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

  /// The float model's file comes last: it says that the model is complete.
  void save(const ModelSpec& spec, const std::string& origin, const StudyModel& made,
            const std::filesystem::path& path) const {
    if (made.integers) save_model(*made.integers, file_of(spec.name, "int8.safetensors"));
    save_model(made.model, path,
               {{"origin", origin},
                {"study", settings()},
                {"train_seconds", fmt::format("{}", made.seconds)},
                {"total_seconds", fmt::format("{}", made.total_seconds)},
                {"teacher_seconds", fmt::format("{}", made.teacher_seconds)}});
    std::filesystem::remove(checkpoint_of(spec, origin));
  }

  /// Of one origin, so that a model that was interrupted does not go on as another one of its name.
  [[nodiscard]] std::filesystem::path checkpoint_of(const ModelSpec& spec, const std::string& origin) const {
    return file_of(fmt::format("{}-{:08x}", spec.name, crc32c(std::as_bytes(std::span{origin}))), "checkpoint");
  }

  [[nodiscard]] WindowConfig windows_of(const FloatModel& model) const {
    example::KeyToDoorRecipe recipe = recipe_;
    recipe.context = model.config.context;
    return example::key_to_door_windows(recipe);
  }

  /// Windows of training tasks, for calibration and scores.
  [[nodiscard]] ContextBatch windows(const FloatModel& model, std::uint64_t stream) const {
    const std::vector<HistoryView> histories = histories_->histories();
    ContextBatch batch;
    WindowSampler{histories, layout_, windows_of(model)}.sample(options_.quick ? 8 : 128, Rng{options_.seed, stream},
                                                                batch);
    return batch;
  }

  [[nodiscard]] FloatModel initial_model(const ModelSpec& spec, const StudyModel* teacher) const {
    if (spec.from.empty() && spec.keep.empty()) {
      FloatModel model{{.width = spec.width,
                        .layer_count = spec.layers,
                        .head_count = spec.heads,
                        .hidden = spec.hidden,
                        .context = spec.context,
                        .positions = spec.positions == "rotary" ? PositionScheme::rotary : PositionScheme::learned},
                       layout_};
      Rng rng{options_.seed};
      model.initialize(rng);
      return model;
    }
    const FloatModel from = spec.from.empty() ? teacher->model : load_model<float>(file_of(spec.from, "safetensors"));
    KeptParts kept = all_parts(from.config);
    if (spec.kept_heads < 1 || spec.kept_neurons < 1) {
      kept =
          best_parts(taylor_scores(from, windows(from, 1)), {.heads = spec.kept_heads, .neurons = spec.kept_neurons});
    }
    if (!spec.keep.empty()) kept.layers = spec.keep;
    return smaller_model(from, kept);
  }

  [[nodiscard]] DistilConfig training_of(const ModelSpec& spec, const std::string& origin) const {
    example::KeyToDoorRecipe recipe = recipe_;
    recipe.updates = updates_of(spec);
    DistilConfig config = example::key_to_door_training(recipe, options_.quick, options_.seed, options_.threads);
    config.learning_rate = spec.rate;
    config.final_rate_fraction = spec.final_rate;
    config.weight_decay = spec.decay;
    config.warmup = std::min(spec.warmup, recipe.updates / 2);
    if (!options_.quick) config.batch = spec.batch;
    config.checkpoint = checkpoint_of(spec, origin);
    config.checkpoint_every = 500;
    return config;
  }

  [[nodiscard]] StudyModel trained(const ModelSpec& spec, const std::string& origin, const StudyModel* teacher) const {
    StudyModel made{.model = initial_model(spec, teacher), .file = {}, .origin = origin};
    if (spec.bits != 0 && spec.rounding == "qat") {
      train_quantized(spec, teacher, made);
    } else {
      if (spec.updates > 0) made.seconds = train(spec, origin, teacher, made.model);
      const auto rounding = std::chrono::steady_clock::now();
      if (spec.bits != 0) round(spec, made);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - rounding;
      made.seconds += seconds.count();
    }
    made.total_seconds = made.seconds;
    if (spec.wants_teacher()) made.teacher_seconds = teacher->total_seconds;
    if (!spec.from.empty()) {
      const Metadata metadata = metadata_of(spec.from);
      made.total_seconds += std::stod(metadata.at("total_seconds"));
      made.teacher_seconds = std::max(made.teacher_seconds, std::stod(metadata.at("teacher_seconds")));
    }
    return made;
  }

  [[nodiscard]] static SoftLabelConfig labels_of(const ModelSpec& spec) {
    return {.temperature = spec.temperature, .mix = spec.mix, .beta = spec.beta};
  }

  /// Prunes single weights over all maps, others as kernels want them.
  [[nodiscard]] static GradualPruning pruning_of(const ModelSpec& spec, int updates) {
    GradualPruning pruning{.schedule = {.final_sparsity = spec.sparsity, .begin = 0, .end = updates * 6 / 10}};
    if (spec.pattern == "single") pruning.config.scope = PruneScope::all;
    if (spec.pattern == "2:4") pruning.config.scope = PruneScope::group;
    if (spec.pattern == "blocks") {
      pruning.config.scope = PruneScope::output;
      pruning.config.block_outputs = 16;
    }
    return pruning;
  }

  /// Returns the seconds that it took.
  double train(const ModelSpec& spec, const std::string& origin, const StudyModel* teacher, FloatModel& model) const {
    const DistilConfig config = training_of(spec, origin);
    StudyObserver observer{.bar = example::ProgressBar{spec.name}, .updates = static_cast<std::size_t>(config.updates)};
    const std::vector<HistoryView> histories = histories_->histories();
    const WindowConfig windows = windows_of(model);
    if (spec.on_policy > 0) {
      const OnPolicyConfig on_policy{.student_fraction = spec.on_policy,
                                     .updates_per_round = spec.round,
                                     .histories_per_round = options_.quick ? 4 : spec.lives,
                                     .episodes = recipe_.episodes,
                                     .decoding = {.temperature = recipe_.temperature},
                                     .seed = options_.seed};
      const DistilResult result = on_policy_distil(model, SoftLabels{teacher->model, labels_of(spec)}, rooms_,
                                                   split_.train, histories, windows, config, on_policy, observer);
      return result.train_seconds + observer.roll_out_seconds;
    }
    const WindowSampler sampler{histories, layout_, windows};
    if (teacher == nullptr) return distil(model, sampler, config, observer).train_seconds;
    const SoftLabels labels{teacher->model, labels_of(spec)};
    if (spec.sparsity == 0) return distil(model, sampler, config, observer, labels).train_seconds;
    return distil(model, sampler, config, observer, labels, OneRank{}, pruning_of(spec, config.updates)).train_seconds;
  }

  /// The blocks' weights to so many bits, the head's to 8.
  void round(const ModelSpec& spec, StudyModel& made) const {
    Calibration calibration{made.model};
    calibration.add(made.model, windows(made.model, 2));
    const Rounding rounding = spec.rounding == "nearest"    ? Rounding::nearest
                              : spec.rounding == "searched" ? Rounding::searched
                                                            : Rounding::gptq;
    const QuantizationRule rules[] = {{"head", WeightQuantization{.bits = 8}},
                                      {"*", WeightQuantization{.bits = spec.bits, .rounding = rounding}}};
    take(quantize_weights(made.model, rules, &calibration), made);
  }

  void train_quantized(const ModelSpec& spec, const StudyModel* teacher, StudyModel& made) const {
    constexpr FakeQuant head{.bits = 8, .learns_steps = false};
    switch (spec.bits) {
      case 4:
        return train_quantized<FakeQuantTransformer<FakeQuant{.bits = 4}, head>>(spec, teacher, made);
      case 3:
        return train_quantized<FakeQuantTransformer<FakeQuant{.bits = 3}, head>>(spec, teacher, made);
      case 2:
        return train_quantized<FakeQuantTransformer<FakeQuant{.bits = 2}, head>>(spec, teacher, made);
      default:
        fail("model \"{}\": bits is {}, it must be 4, 3 or 2", spec.text, spec.bits);
    }
  }
  template <typename Quantized>
  void train_quantized(const ModelSpec& spec, const StudyModel* teacher, StudyModel& made) const {
    if (teacher == nullptr || spec.updates == 0)
      fail("model \"{}\": training for quantization needs a teacher and updates", spec.text);
    auto model = to_fake_quant<Quantized>(made.model);
    const DistilConfig config = training_of(spec, made.origin);
    StudyObserver observer{.bar = example::ProgressBar{spec.name}, .updates = static_cast<std::size_t>(config.updates)};
    const std::vector<HistoryView> histories = histories_->histories();
    const WindowSampler sampler{histories, layout_, windows_of(made.model)};
    made.seconds = distil(model, sampler, config, observer, SoftLabels{teacher->model, labels_of(spec)}).train_seconds;
    take(from_fake_quant(model), made);
  }

  static void take(QuantizedModel&& quantized, StudyModel& made) {
    made.integers = to_int8(quantized);
    made.model = std::move(quantized.dequantized);
  }

  StudyOptions options_;
  example::KeyToDoorRecipe recipe_;
  KeyToDoorRooms rooms_;
  TaskSplit split_;
  StepLayout layout_;
  std::optional<HistoryFile> histories_;
};

}  // namespace icrl::bench
