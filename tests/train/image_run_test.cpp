// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/check_environment.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/model/image_step_encoder.hpp>

#include "support/catch.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A dark room seen from above: black pixels, and a grey one where the agent is.
struct PictureRoom {
  DarkRoom room;
  ElementType element;

  [[nodiscard]] Space observation_space() const {
    Box picture = image_box(3, 3, 1);
    picture.element = element;
    return picture;
  }
  [[nodiscard]] Space action_space() const { return room.action_space(); }
  void reset(Rng& rng) { room.reset(rng); }
  void observe(std::span<float> out) const {
    std::array<float, 2> cell{};
    room.observe(cell);
    std::ranges::fill(out, 0.0f);
    out[static_cast<std::size_t>(3 * cell[0] + cell[1])] = 137;
  }
  StepResult step(int action, Rng& rng) { return room.step(action, rng); }
};
static_assert(Environment<PictureRoom>);

struct PictureRooms {
  ElementType element;
  DarkRooms rooms{{.side = 3, .horizon = 6}};

  [[nodiscard]] int task_count() const { return rooms.task_count(); }
  [[nodiscard]] PictureRoom make(int task) const { return {rooms.make(task), element}; }
};
static_assert(TaskFamily<PictureRooms>);

struct RandomWalker {
  RandomPolicy policy;

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    policy.act(observation, action, rng);
  }
  void learn(const Transition&) {}
};

/// A run from collecting to acting.
struct PictureRun {
  std::uintmax_t file_size;
  std::vector<float> weights, actions;

  explicit PictureRun(const PictureRooms& family) {
    const TemporaryFolder folder;
    {
      HistoryWriter writer{folder / "pictures"};
      collect_to(writer, family, std::array{0, 4, 7},
                 [](int, const PictureRoom& room) { return RandomWalker{RandomPolicy{room.action_space()}}; },
                 {.histories_per_task = 2, .episodes = 20, .thread_count = 1});
    }
    file_size = std::filesystem::file_size(folder / "pictures");
    const HistoryFile file{folder / "pictures"};
    const PictureRoom room = family.make(0);
    const StepLayout layout{room.observation_space(), room.action_space()};
    const WindowSampler sampler{file.histories(), layout, {.context = 8}};
    auto model = small_model<float>(small_config(8), layout);
    (void)distil(model, sampler, small_distil(5));
    weights = weights_of(model);

    InContextAgent agent{model};
    PictureRoom env = family.make(8);
    Rng rng{1};
    std::vector<float> picture(9), next_picture(9), action(1);
    for (int episode = 0; episode < 3; ++episode) {
      env.reset(rng);
      for (bool ended = false; !ended;) {
        env.observe(picture);
        agent.act(picture, action, rng);
        actions.push_back(action[0]);
        const StepResult result = env.step(static_cast<int>(action[0]), rng);
        env.observe(next_picture);
        agent.learn({picture, action, result.reward, next_picture, result.terminated, result.truncated});
        ended = result.terminated || result.truncated;
      }
    }
  }
};

}  // namespace

TEST_CASE("A run on bytes is the run on the same numbers as floats, from the environment to the agent", "[train]") {
  const PictureRooms rooms{ElementType::u8};
  CHECK(check_environment(rooms.make(3)).ok());

  const PictureRun bytes{rooms}, floats{{ElementType::f32}};

  CHECK(bytes.weights == floats.weights);
  CHECK(bytes.actions == floats.actions);
  CHECK(bytes.actions.size() == 18);
  CHECK(floats.file_size - bytes.file_size > 6 * 20 * 7 * 9 * 3 - 64);
}

TEST_CASE("A transformer of images learns what is to be done where a pixel is bright, and does it", "[train]") {
  // The action is the place of the bright pixel, which nothing but the picture tells; its grey is of no account.
  const StepLayout layout{.observation_space = image_box(2, 3, 1), .action_space = Discrete{6}};
  const auto show = [](Rng& rng, std::vector<float>& picture) {
    const int place = rng.below(6);
    std::ranges::fill(picture, 0.0f);
    picture[static_cast<std::size_t>(place)] = static_cast<float>(100 + rng.below(156));
    return static_cast<float>(place);
  };
  LearningHistory history{{.observation_space = layout.observation_space, .action_space = layout.action_space}};
  HistoryRecorder recorder{history};
  Rng rng{3};
  std::vector<float> picture(6), next(6);
  for (int episode = 0; episode < 80; ++episode) {
    float place = show(rng, picture);
    recorder.begin_episode(picture);
    for (int t = 0; t < 4; ++t) {
      const float action = place;
      place = show(rng, picture);
      recorder.step(std::vector<float>{action}, 1.0f, picture, false, t == 3);
    }
  }
  const WindowSampler sampler{{history.view()}, layout, {.context = 8}};
  CausalTransformer<float, ImageParts<float>> model{small_config(8), layout};
  model.initialize(rng);
  DistilConfig config = small_distil(250);
  config.learning_rate = 0.01;
  const DistilResult result = distil(model, sampler, config);

  InContextAgent agent{model, {.temperature = 0}};
  int right = 0;
  std::vector<float> action(1);
  for (int t = 0; t < 200; ++t) {
    const float place = show(rng, picture);
    agent.act(picture, action, rng);
    right += action[0] == place ? 1 : 0;
    agent.learn({picture, action, 1.0f, next, false, t % 4 == 3});
  }

  CHECK(result.final_loss < 0.1);
  CHECK(right >= 195);
}
