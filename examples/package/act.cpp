// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// A frozen model learns where the goal of a room is: one line per episode. With the Debian package, in its folder:
//   g++ -std=c++20 -O2 -march=native act.cpp $(pkg-config --cflags --libs icrl) -o ~/act
//   ~/act systematic_explorer.safetensors
#include <cstdio>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/run.hpp>

int main(int argc, char** argv) {
  using namespace icrl;
  try {
    const DarkRoom room{{}, {.row = 2, .column = 6}};
    const auto model = load_model<float>(argc > 1 ? argv[1] : "systematic_explorer.safetensors");
    InContextAgent agent{model, {.temperature = 0.3}};
    const LearningHistory history = run(agent, room, /*episodes*/ 10, Rng{1});
    for (int e = 0; e < history.view().episode_count(); ++e)
      std::printf("episode %2d: return %g\n", e + 1, history.view().episode(e).total_reward());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
