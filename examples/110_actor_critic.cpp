// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// A source that learns by gradients: 16 actors in copies of one room share a policy and a value network (advantage
// actor-critic, Mnih et al., 2016). The stream of each actor is a learning history, of which a transformer could be
// distilled as in 020. On each of 65 goals the actors' last 20 of 200 episodes earn at least .98 of the oracle's
// return.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/learner/a2c.hpp>
#include <icrl/learner/collect.hpp>

#include "support/program.hpp"

using namespace icrl;

namespace {

/// Mean return over all actors of one goal in episodes `first` .. `first` + `count` - 1.
double mean_of(std::span<const LearningHistory> actors, int first, int count) {
  double total = 0;
  for (const LearningHistory& actor : actors) total += mean_return(actor.view(), first, count);
  return total / static_cast<double>(actors.size());
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Records the learning histories of actor-critics in rooms with a hidden goal",
                           "out/110_actor_critic"};
  int goal_count = 65, actor_count = 16, episodes = 200;
  program.add("--goals", goal_count, "goals to learn, of 81", 1, 81);
  program.add("--actors", actor_count, "actors per goal", 1, 1024);
  program.add("--episodes", episodes, "episodes of each actor", 20, 1'000'000);

  return program.run(argc, argv, [&](const example::Options& options) {
    const auto begin = std::chrono::steady_clock::now();
    const DarkRooms rooms;
    const std::vector<int> goals =
        split_tasks(rooms.task_count(), {.train = options.quick ? 2 : goal_count, .seed = options.seed}).train;
    const int last = episodes - 20;

    const auto make_learner = [&](int, const DarkRoom& room, Rng& rng) {
      return A2C{{.actor_count = actor_count}, room.observation_space(), room.action_space(), rng};
    };
    const std::vector<LearningHistory> histories = collect(rooms, goals, make_learner,
                                                           {.histories_per_task = actor_count,
                                                            .group_size = actor_count,
                                                            .episodes = episodes,
                                                            .seed = options.seed,
                                                            .thread_count = options.threads,
                                                            .algorithm = "A2C"});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;

    fmt::print("goal      random  oracle  first 20  last 20  last 20 / oracle\n");
    std::vector<double> randoms, oracles, firsts, lasts, shares, curve(static_cast<std::size_t>(episodes));
    for (std::size_t g = 0; g < goals.size(); ++g) {
      const auto actors = std::span{histories}.subspan(g * static_cast<std::size_t>(actor_count),
                                                       static_cast<std::size_t>(actor_count));
      randoms.push_back(rooms.random_return(goals[g]));
      oracles.push_back(rooms.oracle_return(goals[g]));
      firsts.push_back(mean_of(actors, 0, 20));
      lasts.push_back(mean_of(actors, last, 20));
      shares.push_back(lasts.back() / oracles.back());
      for (int e = 0; e < episodes; ++e)
        curve[static_cast<std::size_t>(e)] +=
            mean_of(actors, e, 1) / oracles.back() / static_cast<double>(goals.size());
      const DarkRoom room = rooms.make(goals[g]);
      fmt::print("({}, {})  {:8.3f}  {:6.0f}  {:8.2f}  {:7.2f}  {:16.3f}\n", room.goal().row, room.goal().column,
                 randoms.back(), oracles.back(), firsts.back(), lasts.back(), shares.back());
    }
    const auto good = std::count_if(shares.begin(), shares.end(), [](double share) { return share >= 0.9; });
    const double worst = *std::min_element(shares.begin(), shares.end());

    Plot plot{.title = "Actor-critics in rooms with a hidden goal", .y_label = "return / oracle's, mean of all goals"};
    plot.series.push_back({.name = "A2C", .y = curve});
    fmt::print(
        "{}\n{} actors, {} episodes each, seed {}: in the last 20, {} of {} goals reach .9 of the oracle; the worst "
        "{:.3f}; {:.1f} s\n",
        to_terminal(plot), actor_count, episodes, options.seed, good, goals.size(), worst, seconds.count());

    const auto path = options.out / "actor_critic.histories";
    std::filesystem::remove(path);
    HistoryWriter writer{path};
    for (const LearningHistory& history : histories) writer.append(history.view());
    writer.sync();
    example::write_text(options.out / "actor_critic.svg", to_svg(plot));
    example::write_summary(options.out, {{"seed", options.seed},
                                         {"actors", actor_count},
                                         {"episodes", episodes},
                                         {"goals", goals},
                                         {"random", randoms},
                                         {"oracle", oracles},
                                         {"first_20", firsts},
                                         {"last_20", lasts},
                                         {"last_20_over_oracle", shares},
                                         {"goals_at_0.9", static_cast<std::int64_t>(good)},
                                         {"worst", worst},
                                         {"seconds", seconds.count()},
                                         {"return_by_episode", curve}});
  });
}
