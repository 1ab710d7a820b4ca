// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The page's core: functions of C around one Player, for JavaScript. Those that return an int return a negative number
// after an Error, whose text is then in player_error().
#include "browser/old_libcxx.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "browser/player.hpp"

#ifdef __EMSCRIPTEN__
#include <emscripten/emscripten.h>
#define PLAYER_API extern "C" EMSCRIPTEN_KEEPALIVE
#else
#define PLAYER_API extern "C"
#endif

namespace {

browser::Player player;
browser::StepReport report;
std::string error_text;
std::vector<std::byte> buffer;

template <typename Body>
int guarded(Body&& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    error_text = error.what();
    return -1;
  }
}

}  // namespace

PLAYER_API const char* player_error() { return error_text.c_str(); }

/// Memory for the bytes of a model file.
PLAYER_API std::byte* player_buffer(int bytes) {
  buffer.resize(static_cast<std::size_t>(bytes));
  return buffer.data();
}

/// Loads the model file whose bytes are in the buffer.
PLAYER_API int player_load() {
  return guarded([] {
    const char* const path = "player_model.safetensors";
    std::FILE* const file = std::fopen(path, "wb");
    if (file == nullptr) icrl::fail("cannot write \"{}\"", path);
    const std::size_t written = std::fwrite(buffer.data(), 1, buffer.size(), file);
    if (std::fclose(file) != 0 || written != buffer.size()) icrl::fail("cannot write \"{}\"", path);
    buffer = {};
    player.load(path);
    std::remove(path);
    return 0;
  });
}

PLAYER_API int player_hide_goal(int goal) {
  return guarded([&] {
    player.hide_goal(goal);
    return 0;
  });
}

PLAYER_API int player_hide_key_and_door(int key, int door) {
  return guarded([&] {
    player.hide_key_and_door(key, door);
    return 0;
  });
}

PLAYER_API int player_forget(std::uint32_t seed) {
  return guarded([&] {
    player.forget(seed);
    return 0;
  });
}

/// 1 if the step has ended its episode, else 0.
PLAYER_API int player_step() {
  return guarded([] {
    report = player.step();
    return report.is_over > 0 ? 1 : 0;
  });
}

/// The numbers of StepReport for the last step.
PLAYER_API const float* player_report() { return &report.row; }

PLAYER_API int player_act_alone(int steps) {
  return guarded([&] {
    player.act_alone(steps);
    return 0;
  });
}

PLAYER_API double player_oracle() { return player.oracle_return(); }
PLAYER_API int player_was_trained_on() { return player.was_trained_on() ? 1 : 0; }
PLAYER_API int player_attention_count() { return static_cast<int>(player.attention().size()); }
PLAYER_API const float* player_attention() { return player.attention().data(); }
