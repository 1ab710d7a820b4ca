// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/compress/roll_out.hpp>
#include <icrl/compress/soft_labels.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/train/distil.hpp>

namespace icrl {

/// How a student is trained on its own rollouts.
struct OnPolicyConfig {
  double student_fraction = 0.5;  ///< of the windows that are cut out of the student's histories; 0 = none
  int updates_per_round = 250;    ///< updates between one rollout and the next
  int histories_per_round = 256;  ///< histories of one rollout, on as many training tasks drawn at random
  int episodes = 14;              ///< of each history; enough to fill a context
  Decoding decoding{};            ///< by which the student acts
  int context_count = 2;          ///< of each agent, see StaggeredContexts
  int group_size = 32;            ///< agents served in one pass; changes the speed, never the result
  std::uint64_t seed = 0;         ///< of tasks and histories
};

/// Throws Error naming the first invalid value.
inline void validate(const OnPolicyConfig& c) {
  if (!(c.student_fraction == 0 || (c.student_fraction >= 0.01 && c.student_fraction <= 1)))
    fail("on-policy distillation: student_fraction is {}, it must be 0 or lie in 0.01 .. 1", c.student_fraction);
  const auto positive = [](const char* name, int value) {
    if (value < 1) fail("on-policy distillation: {} is {}, it must be at least 1", name, value);
  };
  positive("updates_per_round", c.updates_per_round);
  positive("histories_per_round", c.histories_per_round);
  validate(RollOutConfig{.episodes = c.episodes, .decoding = c.decoding, .group_size = c.group_size});
}

/// All values that the result depends on.
[[nodiscard]] inline std::string describe(const OnPolicyConfig& c) {
  return fmt::format(
      "a share of {} from {} lives of {} episodes every {} updates, temperature {}, min_p {}, {} contexts, seed {}",
      c.student_fraction, c.histories_per_round, c.episodes, c.updates_per_round, c.decoding.temperature,
      c.decoding.min_p, c.context_count, c.seed);
}

namespace detail {

/// The tasks of one rollout: all of them in a random order, as often as it takes.
[[nodiscard]] inline std::vector<int> round_tasks(std::span<const int> tasks, int count, Rng rng) {
  std::vector<int> order(tasks.begin(), tasks.end());
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(rng.below(static_cast<int>(i)))]);
  std::vector<int> drawn;
  for (int i = 0; i < count; ++i) drawn.push_back(order[static_cast<std::size_t>(i) % order.size()]);
  return drawn;
}

/// Histories of which `share`, above 0, are the student's: a sampler draws every history of a list equally often, so
/// the shorter list is repeated.
[[nodiscard]] inline std::vector<HistoryView> mixed_histories(std::span<const HistoryView> source,
                                                              std::span<const HistoryView> student, double share) {
  if (share == 1) return {student.begin(), student.end()};
  const double ratio = share / (1 - share);  // of the student's histories to the source's
  const auto rounded = [](double count) { return static_cast<std::size_t>(std::llround(count)); };
  const auto of_source = std::max(source.size(), rounded(static_cast<double>(student.size()) / ratio)),
             of_student = std::max(student.size(), rounded(static_cast<double>(source.size()) * ratio));
  std::vector<HistoryView> mixed;
  for (std::size_t i = 0; i < of_source; ++i) mixed.push_back(source[i % source.size()]);
  for (std::size_t i = 0; i < of_student; ++i) mixed.push_back(student[i % student.size()]);
  return mixed;
}

}  // namespace detail

/// On-policy distillation (Agarwal et al., 2024; labels as in DAgger, Ross et al., 2011): in each round, fresh agents
/// of the student act on training tasks, then the student is trained on windows of these histories and of the source's.
/// In a window of a student's history, the teacher's outputs are conditioned on what the student did, including its
/// mistakes.
///
/// Trains the student from its current weights for `config.updates` updates in all, with one learning rate schedule.
/// Start from a trained student, for example after distil() on the source's windows. The student acts on `tasks`: give
/// no held-out ones. With `windows.use_expert_action` the hard labels of the student's windows are actions drawn from
/// the teacher; without it the labels would be the student's own mistakes, so `mix` must be 1.
///
/// Observer and result are as in distil(); it may also have `on_roll_out(int round, std::span<const LearningHistory>)`.
/// The weights depend only on models, histories, configurations and seeds, not on the number of threads. A checkpoint
/// is written at the beginning of every round, and at the end, where `config.checkpoint_every` is not 0.
template <Trainable Student, Trainable Teacher, TaskFamily F, typename Observer>
requires Streaming<Student> && Streaming<Teacher> DistilResult
on_policy_distil(Student& student, const SoftLabels<Teacher>& labels, const F& family, std::span<const int> tasks,
                 const std::vector<HistoryView>& source, const WindowConfig& windows, const DistilConfig& config,
                 const OnPolicyConfig& on_policy, Observer&& observer) {
  using Watcher = std::remove_reference_t<Observer>;
  detail::check_observer<Student, Watcher>();
  validate(on_policy);
  check_tasks(family, tasks, "on-policy distillation");
  if (tasks.empty()) fail("on-policy distillation: there are no tasks to act on, it needs at least one");
  if (labels.config().mix < 1 && !windows.use_expert_action) {
    fail(
        "on-policy distillation: mix is {}, so labels count, and without use_expert_action those of the student's "
        "windows are its own actions (record the source with expert actions, or take mix 1)",
        labels.config().mix);
  }

  const WindowSampler source_windows{source, student.layout, windows};
  WindowSampler sampler = source_windows;
  using Labels = detail::DescribedObjective<SoftLabels<Teacher>>;
  const std::string more =
      fmt::format("on policy, {}, {} tasks {:08x}", describe(on_policy), tasks.size(), crc32c(std::as_bytes(tasks)));
  DistilTrainer<Student, Labels> trainer{student, sampler, config, Labels{labels, more}};
  const auto save = [&] {
    if (config.checkpoint_every > 0) trainer.save(config.checkpoint);
  };
  if (detail::has_checkpoint(config)) {
    trainer.restore(config.checkpoint);
  } else {
    save();
  }
  OneRank alone;
  while (trainer.progress().update < config.updates) {
    const int round = trainer.progress().update / on_policy.updates_per_round;
    std::vector<LearningHistory> lived;
    if (on_policy.student_fraction > 0) {
      const auto stream = static_cast<std::uint64_t>(round);
      const std::vector<int> drawn =
          detail::round_tasks(tasks, on_policy.histories_per_round, Rng{on_policy.seed}.fork(stream));
      lived = roll_out(trainer.averaged(), labels.teacher(), family, drawn,
                       {.episodes = on_policy.episodes,
                        .decoding = on_policy.decoding,
                        .context_count = on_policy.context_count,
                        .group_size = on_policy.group_size,
                        .seed = on_policy.seed,
                        .stream = stream,
                        .thread_count = config.thread_count});
      std::vector<HistoryView> views;
      for (const LearningHistory& history : lived) views.push_back(history.view());
      sampler =
          WindowSampler{detail::mixed_histories(source, views, on_policy.student_fraction), student.layout, windows};
    }
    if constexpr (requires { observer.on_roll_out(round, std::span<const LearningHistory>{lived}); })
      observer.on_roll_out(round, std::span<const LearningHistory>{lived});
    const int end = static_cast<int>(
        std::min<std::int64_t>(config.updates, (std::int64_t{round} + 1) * on_policy.updates_per_round));
    detail::run_updates<Student>(trainer, end, observer, alone, [] {});
    sampler = source_windows;  // a checkpoint names its windows: those that can be had again without these lives
    save();
  }
  return detail::finish(trainer, student);
}

}  // namespace icrl
