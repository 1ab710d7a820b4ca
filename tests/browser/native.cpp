// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// The page's core compiled for this machine (examples/browser/core.cpp): what its integer models do has to be what they
// do in WebAssembly, bit for bit. core_test.mjs prints the same lines.
//   native MODELS     a line per task: the name of the model, what is hidden where, and a checksum of 10 episodes
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" {
const char* player_error();
std::byte* player_buffer(int bytes);
int player_load();
int player_hide_goal(int goal);
int player_hide_key_and_door(int key, int door);
int player_forget(std::uint32_t seed);
int player_step();
const float* player_report();
}

namespace {

int checked(int result) {
  if (result >= 0) return result;
  std::fprintf(stderr, "native: %s\n", player_error());
  std::exit(EXIT_FAILURE);
}

void load(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  const std::vector<char> bytes{std::istreambuf_iterator<char>{file}, {}};
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(player_buffer(static_cast<int>(bytes.size()))));
  checked(player_load());
}

/// FNV-1a over the actions and rewards of 10 episodes.
void print_life(const char* name, int first, int second) {
  checked(player_forget(static_cast<std::uint32_t>(100 + first)));
  std::uint32_t sum = 2166136261u;
  for (int episode = 0; episode < 10;) {
    episode += checked(player_step());
    for (const int i : {2, 3}) sum = (sum ^ static_cast<std::uint32_t>(player_report()[i])) * 16777619u;
  }
  std::printf("%s %d %d %08x\n", name, first, second, sum);
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 2) {
    std::fprintf(stderr, "native MODELS\n");
    return 2;
  }
  const std::string models = argv[1];
  load(models + "/room_int8.safetensors");
  for (int goal = 0; goal < 81; goal += 4) {
    checked(player_hide_goal(goal));
    print_life("room", goal, 0);
  }
  load(models + "/key_to_door_int8.safetensors");
  for (int key = 0; key < 81; key += 4) {
    const int door = (37 * key + 5) % 81;
    checked(player_hide_key_and_door(key, door));
    print_life("key_to_door", key, door);
  }
}
