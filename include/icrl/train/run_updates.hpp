// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>

#include <icrl/core/fail.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/distil_metrics.hpp>
#include <icrl/train/ranks.hpp>

namespace icrl {

/// An observer that is called after every update.
template <typename O>
concept HasOnUpdate = requires(O& observer, const DistilMetrics& metrics) {
  observer.on_update(metrics);
};
/// An observer that scores models while they are trained: higher is better, and the best is kept.
template <typename O, typename M>
concept HasOnEvaluate = requires(O& observer, const M& model, int update) {
  { observer.on_evaluate(model, update) } -> std::convertible_to<double>;
};

/// What a whole run did.
struct DistilResult {
  int updates = 0;               ///< done in all, with those before a resume
  int best_update = 0;           ///< the update that the returned weights come from
  double best_score = 0;         ///< their score; 0 if nothing was scored
  std::int64_t tokens = 0;       ///< environment steps trained on
  double train_seconds = 0;      ///< evaluation excluded
  double tokens_per_second = 0;  ///< over all updates, evaluation excluded
  double final_loss = 0;         ///< of the last update
};

namespace detail {

/// Whether there is a checkpoint to resume from. Throws Error if that is unknown, because an existing one must not be
/// overwritten.
[[nodiscard]] inline bool has_checkpoint(const DistilConfig& config) {
  std::error_code error;
  const bool exists = !config.checkpoint.empty() && std::filesystem::exists(config.checkpoint, error);
  if (error) fail("checkpoint \"{}\": cannot tell whether it exists: {}", config.checkpoint.string(), error.message());
  return exists;
}

/// Whether a class has a member of this name, also one that is private, overloaded or a template: then the name means
/// two things in a class that derives from it and from the decoy. Unknown, so false, for classes that are final.
struct OnUpdateDecoy {
  int on_update;
};
struct OnEvaluateDecoy {
  int on_evaluate;
};
template <typename W>
struct OnUpdateProbe : W, OnUpdateDecoy {};
template <typename W>
struct OnEvaluateProbe : W, OnEvaluateDecoy {};
template <typename W>
concept NamesOnUpdate = std::is_class_v<W> && !std::is_final_v<W> && !requires {
  &OnUpdateProbe<W>::on_update;
};
template <typename W>
concept NamesOnEvaluate = std::is_class_v<W> && !std::is_final_v<W> && !requires {
  &OnEvaluateProbe<W>::on_evaluate;
};

/// An observer's function that cannot be called would be left out silently.
template <typename M, typename Watcher>
constexpr void check_observer() {
  using W = std::remove_cv_t<Watcher>;
  static_assert(HasOnUpdate<Watcher> || !NamesOnUpdate<W>,
                "distil: the observer's on_update is public and takes (const DistilMetrics&)");
  static_assert(HasOnEvaluate<Watcher, M> || !NamesOnEvaluate<W>,
                "distil: the observer's on_evaluate is public, takes (const Model&, int update) and returns a score");
}

/// Whether something that happens every `every` updates, and after the last one, happens now.
template <typename Trainer>
[[nodiscard]] bool is_due(const Trainer& trainer, int every) {
  const int update = trainer.progress().update;
  return every > 0 && (update % every == 0 || update == trainer.config().updates);
}

/// What a finished run did; leaves the best weights in the model.
template <typename Trainer, typename M>
[[nodiscard]] DistilResult finish(const Trainer& trainer, M& model) {
  const DistilProgress& done = trainer.progress();
  const DistilResult result{.updates = done.update,
                            .best_update = done.best_update > 0 ? done.best_update : done.update,
                            .best_score = done.best_score,
                            .tokens = done.tokens,
                            .train_seconds = done.seconds,
                            .tokens_per_second = static_cast<double>(done.tokens) / done.seconds,
                            .final_loss = done.loss};
  copy_weights(trainer.best(), model);
  return result;
}

/// Steps the trainer until it has done `last_update` updates. After each, it calls the observer and then
/// `after_update()`.
template <typename M, typename Trainer, typename Watcher, Ranks R, typename AfterUpdate>
void run_updates(Trainer& trainer, int last_update, Watcher& observer, R& ranks, AfterUpdate&& after_update) {
  while (trainer.progress().update < last_update) {
    const DistilMetrics metrics = trainer.step();
    if constexpr (HasOnUpdate<Watcher>) observer.on_update(metrics);
    if constexpr (HasOnEvaluate<Watcher, M>) {
      if (is_due(trainer, trainer.config().evaluate_every)) {
        auto score = static_cast<double>(observer.on_evaluate(trainer.averaged(), metrics.update));
        broadcast_from_first(ranks, std::span{&score, 1});
        trainer.offer(score);
      }
    }
    after_update();
  }
}

/// Continues from the checkpoint if there is one, trains to the end, and leaves the best weights in the model.
template <typename M, typename Trainer, typename Watcher, Ranks R>
[[nodiscard]] DistilResult run_to_end(Trainer& trainer, M& model, Watcher& observer, R& ranks) {
  const DistilConfig& config = trainer.config();
  const bool writes = ranks.rank() == 0;
  if (has_checkpoint(config)) {
    trainer.restore(config.checkpoint);
  } else if (config.checkpoint_every > 0 && writes) {
    trainer.save(config.checkpoint);  // what cannot be written is found out before the work, not after it
  }
  if constexpr (requires { trainer.check_equal_ranks(); }) trainer.check_equal_ranks();
  run_updates<M>(trainer, config.updates, observer, ranks, [&] {
    if (writes && is_due(trainer, config.checkpoint_every)) trainer.save(config.checkpoint);
  });
  return finish(trainer, model);
}

}  // namespace detail

}  // namespace icrl
