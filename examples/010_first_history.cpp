// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// A learning history: all that one learner lived through, episode after episode. Here Q-learning finds the hidden goal
// of one room; its history is recorded, written to a file that is safe against crashes, and read back.
#include <cstdio>

#include <icrl/env/check_environment.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/run.hpp>

#include "support/program.hpp"

using namespace icrl;

int main(int argc, char** argv) {
  example::Program program{"Records the learning history of Q-learning in one room", "out/010_first_history"};

  return program.run(argc, argv, [&](const example::Options& options) {
    const DarkRoom room{{.side = 9, .horizon = 20}, {.row = 2, .column = 6}};
    fmt::print("check_environment: {}\n", check_environment(room).text());

    const int episodes = options.quick ? 50 : 200;
    QLearning learner{{.episodes = episodes}, room.observation_space(), room.action_space()};
    const LearningHistory lived =
        run(learner, room, episodes, Rng{options.seed}, {.algorithm = "q_learning", .seed = options.seed});

    const auto path = options.out / "first.histories";
    std::filesystem::remove(path);
    HistoryWriter writer{path};
    writer.append(lived.view());
    writer.sync();

    const HistoryFile file{path};
    const HistoryView history = file.history(0);
    Plot plot{.title = "Q-learning in one room"};
    plot.series.push_back({.name = "return"});
    for (int e = 0; e < history.episode_count(); ++e) plot.series[0].y.push_back(history.episode(e).total_reward());
    const double first = mean_return(history, 0, 10), last = mean_return(history, history.episode_count() - 10, 10);
    fmt::print(
        "{}: {} histories; {} episodes, {} steps, {} bytes\n{}\nThe first ten episodes earn {:.2f}, the last ten "
        "{:.2f}.\n",
        path.string(), file.history_count(), history.episode_count(), history.step_count(),
        std::filesystem::file_size(path), to_terminal(plot), first, last);
    example::write_text(options.out / "history.svg", to_svg(plot));
    example::write_summary(options.out, {{"seed", options.seed},
                                         {"episodes", history.episode_count()},
                                         {"steps", history.step_count()},
                                         {"return_by_episode", plot.series[0].y},
                                         {"first_ten", first},
                                         {"last_ten", last}});
  });
}
