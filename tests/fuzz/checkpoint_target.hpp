// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <memory>

#include <icrl/compress/gradual_pruning.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil_trainer.hpp>

#include "fuzz/target.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

namespace icrl::fuzz {

/// The checkpoint of a run with or without averaged weights, and with or without pruning. The run is resumed, scored,
/// saved and restored again.
template <typename P>
struct CheckpointTargetOf {
  [[nodiscard]] static Bytes make(Choices choices, Rng& rng) {
    Run& run = run_for(choices);
    Trainer& trainer = run.trainer;
    run.memory.write(run.first);
    trainer.restore(run.memory.path());
    for (int update = rng.below(3); update > 0; --update) {
      (void)trainer.step();
      if (rng.chance(0.3)) trainer.offer(rng.uniform());
    }
    return run.checkpoint();
  }

  static void run(Choices choices, Bytes file) {
    Run& run = run_for(choices);
    Trainer& trainer = run.trainer;
    const bool is_repaired = !choices.once_in(64), is_renamed = !choices.once_in(64);
    if (is_repaired && is_renamed && file.size() > CheckedFile::header_size) {
      const std::size_t end = replace_text(file, CheckedFile::header_size, run.model_name);
      (void)replace_text(file, end, run.config_name);
    }
    if (is_repaired) repair_checked_file(file);
    run.memory.write(file);
    const int before = trainer.progress().update;
    try {
      trainer.restore(run.memory.path());
    } catch (const Error&) {
      require(trainer.progress().update == before, "a checkpoint that is refused changes nothing");
      throw;
    }
    const int update = trainer.progress().update;
    require(update <= trainer.config().updates, "a run does not go on behind its end");
    if (choices.once_in(16)) {
      const Bytes saved = run.checkpoint();
      run.memory.write(saved);
      trainer.restore(run.memory.path());
      require(run.checkpoint() == saved, "a checkpoint comes back as it was");
    }
    if (update == trainer.config().updates) return;
    require(trainer.step().update == update + 1, "a run goes on");
    trainer.offer(1.0);
  }

private:
  using Model = CausalTransformer<float>;
  using Trainer = DistilTrainer<Model, ActionCrossEntropy, OneRank, P>;

  /// By movement, whose scores are part of a checkpoint, or by magnitude.
  [[nodiscard]] static P pruner(bool by_movement) {
    if constexpr (std::same_as<P, NoPruner>)
      return {};
    else
      return {.config = {.criterion = by_movement ? PruneCriterion::movement : PruneCriterion::magnitude},
              .schedule = {.begin = 0, .end = 3, .every = 1}};
  }

  /// Windows and a trainer of a few updates.
  struct Run {
    Run(bool has_average, Products products)
        : data{{.width = 2,
                .layer_count = 1,
                .head_count = 1,
                .hidden = 1,
                .context = 4,
                .window_start = WindowStart::anywhere},
               {.observation_space = Discrete{2}, .action_space = Discrete{2}}},
          model{data.model()},
          trainer{model,
                  data.sampler,
                  {.updates = 4,
                   .batch = 1,
                   .warmup = 1,
                   .ema_decay = has_average ? 0.9 : 0.0,
                   .evaluate_every = 0,
                   .products = products,
                   .gradient_slots = 1,
                   .thread_count = 1},
                  {},
                  {},
                  pruner(products == Products::full)},
          model_name{describe(model)},
          config_name{},
          first{checkpoint()} {
      const std::size_t place = CheckedFile::header_size + 4 + model_name.size();
      const auto length = number_at<std::uint32_t>(first, place);
      config_name.assign(first.begin() + static_cast<std::ptrdiff_t>(place + 4),
                         first.begin() + static_cast<std::ptrdiff_t>(place + 4 + length));
    }

    [[nodiscard]] Bytes checkpoint() const {
      trainer.save(folder / "checkpoint");
      return test::read_bytes(folder / "checkpoint");
    }

    test::TemporaryFolder folder;
    MemoryFile memory;
    test::SmallRun data;
    Model model;
    Trainer trainer;
    std::string model_name, config_name;
    Bytes first;  // before the first update
  };

  static Run& run_for(Choices& choices) {
    static std::array<std::unique_ptr<Run>, 4> runs;
    const int number = choices.below(4);
    std::unique_ptr<Run>& run = runs[static_cast<std::size_t>(number)];
    if (run == nullptr)
      run = std::make_unique<Run>(number % 2 == 0, number / 2 == 0 ? Products::full : Products::bfloat16);
    return *run;
  }
};
using CheckpointTarget = CheckpointTargetOf<NoPruner>;
using PruningCheckpointTarget = CheckpointTargetOf<GradualPruning>;
static_assert(Target<CheckpointTarget> && Target<PruningCheckpointTarget>);

}  // namespace icrl::fuzz
