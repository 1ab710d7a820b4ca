// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Loads a model file and lets the frozen model adapt to rooms it does not know, in a loop of our own as a robot or a
// game would have it. What the agent has found out is saved half-way and restored, as over a restart.
#include <chrono>
#include <cstdio>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/io/model_file.hpp>

#include "support/json_summary.hpp"

using namespace icrl;

namespace {

/// Something to load where there is nothing yet: weights that know nothing.
void save_untrained_model(const std::filesystem::path& path) {
  const DarkRoom room = DarkRooms{}.make(0);
  CausalTransformer<float> model{{.context = 80},
                                 {.observation_space = room.observation_space(), .action_space = room.action_space()}};
  Rng rng{0};
  model.initialize(rng);
  save_model(model, path);
}

/// The metadata's texts are JSON: a decimal point in every language.
double number_of(const std::string& text, const std::string& what) {
  const Json number = parse_json(text, what);
  if (!number.is_number()) fail("{} is {}, not a number", what, text);
  return number.get<double>();
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"Lets a distilled model adapt to new rooms", "out/030_act_in_context"};
  std::filesystem::path path = "out/demo/systematic_explorer.safetensors";
  int rooms_count = 4, episodes = 20;
  double temperature = -1;
  program.add("--model", path, "model file, as scripts/demo.sh leaves it");
  program.add("--rooms", rooms_count,
              "rooms, chosen by --seed: with that of the model's training, the first 16 are new to it", 1, 81);
  program.add("--episodes", episodes, "episodes in each room", 2, 100000);
  program.add("--temperature", temperature, "of decoding; 0 is greedy, -1 what the model file says", -1, 100);

  return program.run(argc, argv, [&](const example::Options& options) {
    if (options.quick && !std::filesystem::exists(path)) {
      path = options.out / "untrained.safetensors";
      save_untrained_model(path);
    }
    const auto model = load_model<float>(path);
    const auto metadata = read_model_info(path).metadata;
    Decoding decoding{.temperature = temperature < 0 ? 1 : temperature};
    if (const auto said = metadata.find("temperature"); said != metadata.end() && temperature < 0)
      decoding.temperature = number_of(said->second, path.string() + ": temperature");
    if (const auto said = metadata.find("min_p"); said != metadata.end())
      decoding.min_p = number_of(said->second, path.string() + ": min_p");
    if (options.quick) episodes = 3;
    fmt::print("{}: {}\ntemperature {}, min_p {}\n\n", path.string(), describe(model), decoding.temperature,
               decoding.min_p);

    const DarkRooms rooms;
    Json lives = Json::array();
    std::chrono::duration<double, std::micro> thinking{0};
    std::int64_t actions = 0;
    for (const int task : split_tasks(rooms.task_count(), {.held_out = rooms_count, .seed = options.seed}).held_out) {
      DarkRoom room = rooms.make(task);
      Rng room_rng{options.seed, 1}, agent_rng{options.seed, 2};
      InContextAgent agent{model, decoding};
      agent.check_spaces(room.observation_space(), room.action_space());
      std::vector<float> observation(2), next_observation(2), action(1), returns;
      for (int episode = 0; episode < episodes; ++episode) {
        float total = 0;
        room.reset(room_rng);
        room.observe(observation);
        for (bool is_over = false; !is_over;) {
          const auto begin = std::chrono::steady_clock::now();
          agent.act(observation, action, agent_rng);
          thinking += std::chrono::steady_clock::now() - begin;
          ++actions;
          const StepResult result = room.step(static_cast<int>(action[0]), room_rng);
          room.observe(next_observation);
          agent.learn({observation, action, result.reward, next_observation, result.terminated, result.truncated});
          observation = next_observation;
          total += result.reward;
          is_over = result.terminated || result.truncated;
        }
        returns.push_back(total);
        if (episode == episodes / 2) {  // switched off, and on again
          agent.save(options.out / "agent.memory");
          agent = InContextAgent{model, decoding};
          agent.restore(options.out / "agent.memory");
        }
      }
      fmt::print("goal ({}, {}), oracle {:2}: {}\n", room.goal().row, room.goal().column, rooms.oracle_return(task),
                 joined(returns, " "));
      lives.push_back({{"task", task}, {"oracle_return", rooms.oracle_return(task)}, {"return_by_episode", returns}});
    }
    const double microseconds = thinking.count() / static_cast<double>(actions);
    fmt::print("\n{} actions, {:.1f} us each\n", actions, microseconds);
    example::write_json_summary(options.out, {{"seed", options.seed},
                                              {"model", path.string()},
                                              {"temperature", decoding.temperature},
                                              {"min_p", decoding.min_p},
                                              {"actions", actions},
                                              {"microseconds_per_action", microseconds},
                                              {"lives", lives}});
  });
}
