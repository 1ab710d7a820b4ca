// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/window_sampler.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// One row of a window of telling histories, read back.
struct Seen {
  int history, episode, step, previous_action;
  float previous_reward;
  int flags, label;
  float weight;
};

std::vector<Seen> rows_of(const ContextBatch& batch, int b) {
  const auto features = batch.features_of(b), actions = batch.actions_of(b), weights = batch.weights_of(b);
  std::vector<Seen> rows;
  for (std::size_t r = 0; r < static_cast<std::size_t>(batch.lengths[static_cast<std::size_t>(b)]); ++r) {
    const auto id = [&](std::size_t f) { return static_cast<int>(features[6 * r + f]); };
    rows.push_back({id(0), id(1), id(2), id(3), features[6 * r + 4], id(5), static_cast<int>(actions[r]), weights[r]});
  }
  return rows;
}

/// Batches of windows over histories that it keeps.
struct Windows {
  std::vector<LearningHistory> histories;
  WindowSampler sampler;

  Windows(std::vector<LearningHistory> made, const WindowConfig& config, bool closing_token = false)
      : histories{std::move(made)}, sampler{views(histories), telling_layout(closing_token), config} {}

  static std::vector<HistoryView> views(const std::vector<LearningHistory>& histories) {
    std::vector<HistoryView> views;
    for (const LearningHistory& history : histories) views.push_back(history.view());
    return views;
  }
  [[nodiscard]] ContextBatch sample(int count, std::uint64_t seed = 1) const {
    ContextBatch batch;
    sampler.sample(count, Rng{seed}, batch);
    return batch;
  }
  [[nodiscard]] std::vector<std::vector<Seen>> rows(int count, std::uint64_t seed = 1) const {
    const ContextBatch batch = sample(count, seed);
    std::vector<std::vector<Seen>> all;
    for (int b = 0; b < count; ++b) all.push_back(rows_of(batch, b));
    return all;
  }
};

std::vector<LearningHistory> three_histories() {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {3, 1, 4, 2, 5, 3, 3}));
  histories.push_back(telling_history(1, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}));
  histories.push_back(telling_history(2, std::vector<int>(40, 1)));
  return histories;
}

}  // namespace

TEST_CASE("A window from the start of a history shows what happened, step by step", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(4, {2, 1}));
  const Windows windows{std::move(histories), {.context = 5, .history_start_fraction = 1}};

  const ContextBatch batch = windows.sample(1);

  const auto a00 = static_cast<float>(telling_action(0, 0)), a01 = static_cast<float>(telling_action(0, 1)),
             a10 = static_cast<float>(telling_action(1, 0));
  CHECK(batch.lengths == std::vector<int>{3});
  CHECK(batch.features == std::vector<float>{4, 0, 0, 7,   0, 3,  //
                                             4, 0, 1, a00, 0, 0,  //
                                             4, 1, 0, a01, 1, 1,  //
                                             0, 0, 0, 0,   0, 0,  //
                                             0, 0, 0, 0,   0, 0});
  CHECK(batch.actions == std::vector<float>{a00, a01, a10, 0, 0});
  CHECK(batch.weights == std::vector<float>{1, 1, 1, 0, 0});
}

TEST_CASE("With a closing token every whole episode of a window ends with an unlabeled row", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(4, {2, 1}));
  const Windows windows{std::move(histories), {.context = 6, .history_start_fraction = 1}, true};

  const ContextBatch batch = windows.sample(1);

  const auto a00 = static_cast<float>(telling_action(0, 0)), a01 = static_cast<float>(telling_action(0, 1)),
             a10 = static_cast<float>(telling_action(1, 0));
  CHECK(batch.lengths == std::vector<int>{5});
  CHECK(batch.features == std::vector<float>{4, 0, 0, 7,   0,   3,  //
                                             4, 0, 1, a00, 0,   0,  //
                                             4, 0, 2, a01, 1,   4,  //
                                             4, 1, 0, 7,   0,   3,  //
                                             4, 1, 1, a10, 100, 4,  //
                                             0, 0, 0, 0,   0,   0});
  CHECK(batch.actions == std::vector<float>{a00, a01, 0, a10, 0, 0});
  CHECK(batch.weights == std::vector<float>{1, 1, 0, 1, 0, 0});
}

TEST_CASE("Every row of a window is the one that a stream would make", "[history]") {
  for (const bool closing_token : {false, true})
    for (const auto& [start, is_shuffled] :
         {std::pair{WindowStart::episode, false}, {WindowStart::anywhere, false}, {WindowStart::episode, true}}) {
      const WindowConfig config{.context = 9, .subsample = 2, .start = start, .shuffle_episodes = is_shuffled};
      const Windows windows{three_histories(), config, closing_token};
      const ContextBatch batch = windows.sample(200);
      for (int b = 0; b < 200; ++b) {
        const auto rows = rows_of(batch, b);
        StepStream stream{telling_layout(closing_token)};
        if (rows[0].step > 0) stream.restore({StreamPhase{false, false}, {0}, 0});
        std::vector<float> row(6);
        for (std::size_t r = 0; r < rows.size(); ++r) {
          const std::array observation{static_cast<float>(rows[r].history), static_cast<float>(rows[r].episode),
                                       static_cast<float>(rows[r].step)};
          const auto& history = windows.histories[static_cast<std::size_t>(rows[r].history)];
          if (rows[r].weight > 0) {
            stream.observe(observation, row);
            const bool ends = rows[r].step + 1 == history.episode(rows[r].episode).length();
            stream.record(std::array{static_cast<float>(rows[r].label)}, telling_reward(rows[r].episode, rows[r].step),
                          ends);
          } else {
            stream.close(observation, row);
          }
          const auto features = batch.features_of(b).subspan(6 * r, 6);
          REQUIRE(std::ranges::equal(features, row));
        }
      }
    }
}

TEST_CASE("Windows of bytes are those of floats with the same numbers", "[history]") {
  const auto histories_of = [](ElementType element) {
    std::vector<LearningHistory> histories;
    for (int h = 0; h < 3; ++h) {
      const Box space{std::vector<float>(4, 0), std::vector<float>(4, 255), {2, 2, 1}, element};
      histories.emplace_back(HistoryInfo{.observation_space = space, .action_space = Discrete{7}});
      HistoryRecorder recorder{histories.back()};
      Rng rng{static_cast<std::uint64_t>(h)};
      std::vector<float> picture(4);
      const auto next_picture = [&] {
        for (float& pixel : picture) pixel = static_cast<float>(rng.below(256));
        return std::span{picture};
      };
      for (int e = 0; e < 5 * h + 1; ++e) {
        recorder.begin_episode(next_picture());
        for (int left = 1 + rng.below(5); left > 0; --left)
          recorder.step(std::array{static_cast<float>(rng.below(7))}, 0.5f, next_picture(), left == 1, false);
      }
    }
    return histories;
  };
  for (const ElementType element : {ElementType::u8, ElementType::u16})
    for (const bool closing_token : {false, true})
      for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
        const WindowConfig config{.context = 9, .subsample = 2, .start = start};
        const auto narrow = histories_of(element), wide = histories_of(ElementType::f32);
        const auto layout = [&](const std::vector<LearningHistory>& histories) {
          const HistoryInfo& info = histories[0].info();
          return StepLayout{info.observation_space, info.action_space, closing_token};
        };
        const WindowSampler narrow_sampler{Windows::views(narrow), layout(narrow), config};
        const WindowSampler wide_sampler{Windows::views(wide), layout(wide), config};
        ContextBatch found, expected;
        std::vector<float> buffer;
        for (std::uint64_t seed = 0; seed < 5; ++seed) {  // the batch is used again
          narrow_sampler.sample(20, Rng{seed}, found);
          wide_sampler.sample(20, Rng{seed}, expected);
          CHECK(found.images.size() == 20 * 9 * 4 * size_of(element));
          CHECK(found.lengths == expected.lengths);
          CHECK(found.actions == expected.actions);
          CHECK(found.weights == expected.weights);
          for (int b = 0; b < 20; ++b)
            REQUIRE(std::ranges::equal(found.rows_of(b, buffer), std::as_const(expected).features_of(b)));
        }
      }
}

TEST_CASE("A window stays in one history and takes its kept episodes in order", "[history]") {
  for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
    const Windows windows{three_histories(), {.context = 8, .subsample = 3, .skip_fraction = 0.25, .start = start}};
    std::set<int> histories;
    for (const auto& rows : windows.rows(600)) {
      histories.insert(rows[0].history);
      const auto& history = windows.histories[static_cast<std::size_t>(rows[0].history)];
      CHECK(rows[0].episode >= history.episode_count() / 4);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        REQUIRE(rows[r].history == rows[0].history);
        REQUIRE(rows[r].label == telling_action(rows[r].episode, rows[r].step));
        if (r == 0) continue;
        const bool ended = rows[r - 1].step + 1 == history.episode(rows[r - 1].episode).length();
        REQUIRE(rows[r].episode == rows[r - 1].episode + (ended ? 3 : 0));
        REQUIRE(rows[r].step == (ended ? 0 : rows[r - 1].step + 1));
        REQUIRE(rows[r].previous_reward == telling_reward(rows[r - 1].episode, rows[r - 1].step));
      }
    }
    CHECK(histories.size() == 3);
  }
}

TEST_CASE("The first row of a window has no past, wherever it begins", "[history]") {
  const Windows windows{three_histories(), {.context = 4, .start = WindowStart::anywhere}};
  bool began_inside = false;
  for (const auto& rows : windows.rows(300)) {
    CHECK(rows[0].previous_action == 7);
    CHECK(rows[0].previous_reward == 0);
    CHECK(rows[0].flags == (rows[0].step == 0 ? 3 : 2));
    began_inside = began_inside || rows[0].step > 0;
    for (std::size_t r = 1; r < rows.size(); ++r) CHECK((rows[r].flags & StepFlag::no_previous) == 0);
  }
  CHECK(began_inside);
}

TEST_CASE("Windows begin at episode starts unless told otherwise", "[history]") {
  const Windows windows{three_histories(), {.context = 4}};

  for (const auto& rows : windows.rows(300)) CHECK(rows[0].step == 0);
}

TEST_CASE("A window is full wherever its history is long enough", "[history]") {
  for (const bool closing_token : {false, true})
    for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere})
      for (const bool shuffle : {false, true}) {
        const Windows windows{
            three_histories(), {.context = 13, .start = start, .shuffle_episodes = shuffle}, closing_token};
        for (const int length : windows.sample(300).lengths) REQUIRE(length == 13);
      }
}

TEST_CASE("A history shorter than a window is taken from its start", "[history]") {
  for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
    std::vector<LearningHistory> histories;
    histories.push_back(telling_history(0, {2, 3}));
    const Windows windows{std::move(histories), {.context = 80, .start = start, .history_start_fraction = 0}};

    for (const auto& rows : windows.rows(50)) {
      CHECK(rows.size() == 5);
      CHECK(rows[0].episode == 0);
      CHECK(rows[0].step == 0);
    }
  }
}

TEST_CASE("Windows begin equally often wherever a full one fits", "[history]") {
  // Episodes of 3 and 1 steps in turn; 22 steps, so a window of 6 may begin at steps 0 .. 16.
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 2}));
  constexpr int count = 17000;
  std::map<std::pair<int, int>, int> anywhere, episodes;
  {
    const Windows windows{std::move(histories),
                          {.context = 6, .start = WindowStart::anywhere, .history_start_fraction = 0}};
    for (const auto& rows : windows.rows(count)) ++anywhere[{rows[0].episode, rows[0].step}];
    const WindowSampler at_starts{
        Windows::views(windows.histories), telling_layout(), {.context = 6, .history_start_fraction = 0}};
    ContextBatch batch;
    at_starts.sample(count, Rng{5}, batch);
    for (int b = 0; b < count; ++b) ++episodes[{rows_of(batch, b)[0].episode, 0}];
  }

  CHECK(anywhere.size() == 17);
  CHECK(anywhere.rbegin()->first == std::pair{8, 0});
  for (const auto& [begin, hits] : anywhere) CHECK(std::abs(hits - 1000) < 190);  // six standard deviations
  CHECK(episodes.size() == 9);
  for (const auto& [begin, hits] : episodes) CHECK(std::abs(hits - count / 9) < 250);
}

TEST_CASE("Windows begin equally often among short episodes after a very long one", "[history]") {
  const StepLayout layout{.observation_space = Discrete{13}, .action_space = Discrete{2}};
  LearningHistory history{{.observation_space = layout.observation_space, .action_space = layout.action_space}};
  HistoryRecorder recorder{history};
  const float action[] = {0};
  for (int episode = 0; episode < 13; ++episode) {
    const float observation[] = {static_cast<float>(episode)};
    const int length = episode == 0 ? 200000 : 1;
    recorder.begin_episode(observation);
    for (int t = 1; t <= length; ++t) recorder.step(action, 0, observation, false, t == length);
  }
  const WindowSampler sampler{
      {history.view()},
      layout,
      {.context = 3, .skip_fraction = 0.08, .start = WindowStart::anywhere, .history_start_fraction = 0}};
  ContextBatch batch;
  sampler.sample(2000, Rng{5}, batch);
  std::map<float, int> hits;
  for (int b = 0; b < 2000; ++b) ++hits[batch.features_of(b)[0]];

  CHECK(hits.size() == 10);
  CHECK(hits.begin()->first == 1);
  for (const auto& [episode, count] : hits) CHECK(std::abs(count - 200) < 80);  // six standard deviations
}

TEST_CASE("The asked share of windows begins with the first kept episode", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, std::vector<int>(250, 1)));
  const Windows windows{std::move(histories), {.context = 2, .history_start_fraction = 0.3}};
  int at_start = 0;
  for (const auto& rows : windows.rows(10000)) at_start += rows[0].episode == 0;

  CHECK(std::abs(at_start - (3000 + 7000 / 249)) < 280);
}

TEST_CASE("Thinning keeps every k-th episode from a random phase on", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, std::vector<int>(20, 1)));
  const Windows windows{std::move(histories),
                        {.context = 3, .subsample = 4, .skip_fraction = 0.3, .history_start_fraction = 1}};
  std::map<int, int> first;
  for (const auto& rows : windows.rows(4000)) {
    ++first[rows[0].episode];
    for (std::size_t r = 1; r < rows.size(); ++r) CHECK(rows[r].episode == rows[r - 1].episode + 4);
  }

  CHECK(first.size() == 4);
  for (const auto& [episode, hits] : first) {
    CHECK((episode >= 6 && episode < 10));
    CHECK(std::abs(hits - 1000) < 165);
  }
}

TEST_CASE("Thinning more than there is leaves one episode", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {2, 2, 2}));
  const Windows windows{std::move(histories), {.context = 10, .subsample = 100, .skip_fraction = 0.99}};

  for (const auto& rows : windows.rows(50)) {
    CHECK(rows.size() == 2);
    CHECK(rows[0].episode == 2);
  }
}

TEST_CASE("Shuffling takes the same episodes in another order, each once", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, std::vector<int>(10, 2)));
  const Windows windows{std::move(histories), {.context = 20, .shuffle_episodes = true}};
  std::set<std::vector<int>> orders;
  for (const auto& rows : windows.rows(40)) {
    std::vector<int> order;
    for (const Seen& row : rows) {
      if (row.step == 0) order.push_back(row.episode);
      CHECK(order.back() == row.episode);
    }
    orders.insert(order);
    CHECK(std::set<int>(order.begin(), order.end()).size() == 10);
  }
  CHECK(orders.size() == 40);
}

TEST_CASE("Labels may be the expert's actions while the past stays what was done", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {3, 3}, {.has_expert_action = true}));
  const Windows windows{std::move(histories), {.context = 6, .use_expert_action = true}};

  for (const auto& rows : windows.rows(20))
    for (std::size_t r = 0; r < rows.size(); ++r) {
      CHECK(rows[r].label == (telling_action(rows[r].episode, rows[r].step) + 1) % 7);
      if (r > 0) CHECK(rows[r].previous_action == telling_action(rows[r - 1].episode, rows[r - 1].step));
    }
}

TEST_CASE("A sequence depends on its number and the generator alone", "[history]") {
  const Windows windows{three_histories(), {.context = 7, .subsample = 2, .start = WindowStart::anywhere}};
  const ContextBatch few = windows.sample(3), many = windows.sample(64), others = windows.sample(64, 2);

  for (int b = 0; b < 3; ++b) CHECK(std::ranges::equal(few.features_of(b), many.features_of(b)));
  CHECK(many.features != others.features);
}

TEST_CASE("A batch may be used again, whatever it held", "[history]") {
  const Windows windows{three_histories(), {.context = 80}};
  ContextBatch used = windows.sample(16, 7);
  std::ranges::fill(used.features, -5.0f);
  std::ranges::fill(used.actions, -5.0f);
  std::ranges::fill(used.weights, -5.0f);

  windows.sampler.sample(16, Rng{8}, used);

  const ContextBatch fresh = windows.sample(16, 8);
  CHECK(used.features == fresh.features);
  CHECK(used.actions == fresh.actions);
  CHECK(used.weights == fresh.weights);
}

TEST_CASE("Sampling into a batch of the same size allocates nothing", "[history]") {
  for (const bool shuffle : {false, true}) {
    const Windows windows{three_histories(), {.context = 20, .subsample = 2, .shuffle_episodes = shuffle}, true};
    ContextBatch batch = windows.sample(32);
    const AllocationCount allocations;

    for (std::uint64_t seed = 0; seed < 20; ++seed) windows.sampler.sample(32, Rng{seed}, batch);

    CHECK(allocations.count() == 0);
  }
}

TEST_CASE("Histories without episodes are passed over", "[history]") {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {}));
  histories.push_back(telling_history(1, {1}));
  const Windows windows{std::move(histories), {.context = 2}};

  for (const auto& rows : windows.rows(20)) CHECK(rows[0].history == 1);
}

TEST_CASE("A sampler refuses what it cannot sample from", "[history]") {
  const LearningHistory history = telling_history(0, {1}), empty = telling_history(0, {});
  const auto refusal = [](const LearningHistory& from, const StepLayout& layout, const WindowConfig& config) {
    return error_of([&] { WindowSampler{{from.view()}, layout, config}; });
  };

  CHECK(has(refusal(empty, telling_layout(), {}), "no history with an episode to sample from (of 1 given)"));
  CHECK(has(
      refusal(history, {telling_observations(), Discrete{8}}, {}),
      "history 0 has observations multi_discrete(20, 300, 300) and actions discrete(7), the layout has others: action "
      "spaces discrete(7) and discrete(8)"));
  CHECK(has(refusal(history, telling_layout(), {.use_expert_action = true}), "history 0 has no expert actions"));
  CHECK(has(refusal(history, telling_layout(), {.context = 0}), "context is 0"));
  CHECK(has(refusal(history, telling_layout(), {.subsample = 0}), "subsample is 0"));
  CHECK(has(refusal(history, telling_layout(), {.skip_fraction = 1}), "skip_fraction is 1"));
  CHECK(has(refusal(history, telling_layout(), {.history_start_fraction = 1.5}), "history_start_fraction is 1.5"));
}
