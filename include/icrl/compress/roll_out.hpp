// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/watched_agents.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/learner/run.hpp>

namespace icrl {

/// How fresh agents of a model act on tasks.
struct RollOutConfig {
  int episodes = 14;         ///< per rollout; the agent remembers across them
  Decoding decoding{};       ///< of the actor; an expert draws its actions at temperature 1
  int context_count = 2;     ///< of each agent, see StaggeredContexts
  int group_size = 32;       ///< agents served in one pass; changes the speed, never the result
  std::uint64_t seed = 0;    ///< rollout i draws from Rng{seed, stream}.fork(i)
  std::uint64_t stream = 0;  ///< tells rollouts of one seed apart
  int thread_count = 0;      ///< 0 = all cores
};

/// Throws Error for a value out of its range.
inline void validate(const RollOutConfig& config) {
  if (config.episodes < 1) fail("rollout: episodes is {}, it must be at least 1", config.episodes);
  if (config.group_size < 1) fail("rollout: group_size is {}, it must be at least 1", config.group_size);
  if (config.thread_count < 0) fail("rollout: thread_count is {}, it must not be negative", config.thread_count);
  validate(config.decoding);
}

namespace detail {

/// One rollout on each of `tasks`, in groups, on all threads. `live(group, first, envs, rngs)` runs the rollouts of a
/// group, which begin with number `first`.
template <TaskFamily F, typename Live>
void roll_out_groups(const F& family, std::span<const int> tasks, const RollOutConfig& config, Live&& live) {
  validate(config);
  check_tasks(family, tasks, "rollout");
  if (tasks.size() > std::size_t{std::numeric_limits<int>::max() / 2})
    fail("rollout: {} tasks are too many", tasks.size());
  const int total = static_cast<int>(tasks.size()), group_count = (total + config.group_size - 1) / config.group_size;
  WorkerPool pool{threads_or_all(config.thread_count)};
  pool.run(group_count, [&](int group, int) {
    const int begin = group * config.group_size, end = std::min(begin + config.group_size, total);
    std::vector<EnvironmentOf<F>> envs;
    std::vector<Rng> rngs;
    for (int life = begin; life < end; ++life) {
      envs.push_back(family.make(tasks[static_cast<std::size_t>(life)]));
      rngs.push_back(Rng{config.seed, config.stream}.fork(static_cast<std::uint64_t>(life)));
    }
    try {
      live(group, begin, std::move(envs), std::span<const Rng>{rngs});
    } catch (const Error& error) {
      fail("rollout: tasks {} to {} of the list: {}", begin, end - 1, error.what());
    }
  });
}

/// Generators on streams that run() leaves alone.
[[nodiscard]] inline std::vector<Rng> watcher_rngs(std::span<const Rng> rngs) {
  std::vector<Rng> forked;
  for (const Rng& rng : rngs) forked.push_back(rng.fork(2));  // run() takes 0 and 1
  return forked;
}

}  // namespace detail

/// Runs a fresh agent of `actor`, with an empty memory, on each of `tasks`, which may contain a task more than once,
/// and returns their histories in order. The expert actions in them are those of `expert`, drawn from its outputs for
/// the same history. A history depends on the seed, the stream, its number and task and on the models alone.
template <Streaming Actor, Streaming Expert, TaskFamily F>
[[nodiscard]] std::vector<LearningHistory> roll_out(const Actor& actor, const Expert& expert, const F& family,
                                                    std::span<const int> tasks, const RollOutConfig& config) {
  const std::size_t group_size = static_cast<std::size_t>(std::max(config.group_size, 1));
  std::vector<std::vector<LearningHistory>> lived((tasks.size() + group_size - 1) / group_size);
  detail::roll_out_groups(
      family, tasks, config, [&](int group, int first, std::vector<EnvironmentOf<F>> envs, std::span<const Rng> rngs) {
        std::vector<HistoryInfo> infos;
        for (std::size_t i = 0; i < rngs.size(); ++i) {
          infos.push_back({.task = tasks[static_cast<std::size_t>(first) + i],
                           .algorithm = "rolled out",
                           .seed = config.seed,
                           .has_expert_action = true});
        }
        const std::vector<Rng> expert_rngs = detail::watcher_rngs(rngs);
        WatchedAgents<Actor, Expert> agents{actor, expert, expert_rngs, config.decoding, config.context_count};
        lived[static_cast<std::size_t>(group)] = run_group(agents, std::move(envs), config.episodes, rngs, infos);
      });
  std::vector<LearningHistory> histories;
  for (auto& group : lived) std::ranges::move(group, std::back_inserter(histories));
  return histories;
}

}  // namespace icrl
