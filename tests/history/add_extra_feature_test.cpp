// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/add_extra_feature.hpp>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <icrl/history/symmetric_image.hpp>
#include <icrl/history/window_sampler.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const ExtraFeature place_feature{"place", 2}, twice_feature{"twice", 1};

/// A history whose features say where they stand: episode and step, and twice the reward.
LearningHistory featured(const LearningHistory& history) {
  int episode = -1;
  const LearningHistory once =
      with_extra_feature(history.view(), place_feature, [&](const EpisodeView&, int t, std::span<float> out) {
        episode += t == 0 ? 1 : 0;
        out[0] = static_cast<float>(episode);
        out[1] = static_cast<float>(t);
      });
  return with_extra_feature(once.view(), twice_feature,
                            [](const EpisodeView& e, int t, std::span<float> out) { out[0] = 2 * e.reward(t); });
}

/// A symmetry that moves nothing.
struct Unmoved {
  static int map_task(int task) { return task; }
  static void map_observation(std::span<const float> from, std::span<float> to) { std::ranges::copy(from, to.begin()); }
  static void map_action(std::span<const float> from, std::span<float> to) { std::ranges::copy(from, to.begin()); }
};

}  // namespace

TEST_CASE("A history with an extra feature more is the same otherwise", "[history]") {
  const LearningHistory history = telling_history(
      3, {2, 1, 3}, {.has_action_mask = true, .has_behavior_probability = true, .has_expert_action = true});
  LearningHistory more = featured(history);

  HistoryInfo expected = history.info();
  expected.extra_features = {place_feature, twice_feature};
  CHECK(more.info() == expected);
  for (int e = 0; e < 3; ++e) {
    for (int t = 0; t < more.episode(e).length(); ++t) {
      const auto found = more.episode(e).extra_features(t);
      CHECK(std::ranges::equal(
          found, std::vector<float>{static_cast<float>(e), static_cast<float>(t), 2 * telling_reward(e, t)}));
    }
  }
  // All other columns: what a file holds of both, up to the features.
  const auto columns = [](const HistoryView& view) {
    const auto bytes = icrl::detail::write_columns(view);
    return std::vector<std::byte>(bytes.bytes().begin(), bytes.bytes().end());
  };
  const auto before = columns(history.view()), after = columns(more.view());
  CHECK(std::equal(before.begin(), before.end(), after.begin()));
  CHECK(after.size() == before.size() + (6 * 3 * 4 + 7) / 8 * 8);

  CHECK(has(error_of([&] { (void)featured(more); }), "two extra features have the name \"place\""));
  CHECK(history.episode(0).extra_features(0).empty());
}

TEST_CASE("The return-to-go is what the episode still earns, by hand", "[history]") {
  LearningHistory history{{.observation_space = Discrete{2}, .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  for (const std::vector<float>& rewards : {std::vector<float>{1, 2, 4}, std::vector<float>{8}}) {
    recorder.begin_episode(std::vector<float>{0});
    for (std::size_t t = 0; t < rewards.size(); ++t)
      recorder.step(std::vector<float>{1}, rewards[t], std::vector<float>{1}, t + 1 == rewards.size(), false);
  }
  const auto numbers = [](const LearningHistory& with) {
    std::vector<float> all;
    for (int e = 0; e < with.episode_count(); ++e)
      for (int t = 0; t < with.episode(e).length(); ++t) all.push_back(with.episode(e).extra_features(t)[0]);
    return all;
  };

  CHECK(numbers(with_return_to_go(history.view())) == std::vector<float>{7, 6, 4, 8});
  CHECK(numbers(with_return_to_go(history.view(), 0.5)) == std::vector<float>{3, 4, 4, 8});
  CHECK(with_return_to_go(history.view()).info().extra_features == std::vector<ExtraFeature>{{"return_to_go", 1}});
}

TEST_CASE("Extra features that are missing, too many or not finite are not recorded", "[history]") {
  HistoryInfo info{.observation_space = Discrete{2}, .action_space = Discrete{2}};
  info.extra_features = {{"pair", 2}};
  LearningHistory history{info};
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::vector<float>{0});
  const auto refusal = [&](const std::vector<float>& features) {
    return error_of([&] {
      recorder.step(std::vector<float>{1}, 0, std::vector<float>{1}, true, false, {.extra_features = features});
    });
  };

  CHECK(refusal({1}) == "recording step 0 of episode 0: there are 1 numbers of extra features, pair (2) need 2");
  CHECK(has(refusal({1, std::numeric_limits<float>::infinity()}),
            "the extra features are (1, inf), they must be finite"));
  CHECK(refusal({1, 2}).empty());
  CHECK(history.step_count() == 1);

  info.extra_features.push_back({"pair", 1});
  CHECK(error_of([&] { (void)LearningHistory{info}; }) == "history: two extra features have the name \"pair\"");
}

TEST_CASE("Rows of a window have the features that the layout names, closing rows zeros", "[history]") {
  const LearningHistory history = featured(telling_history(1, {3, 5, 2, 4, 1, 6}));
  for (const bool closing_token : {false, true}) {
    StepLayout plain = telling_layout(closing_token), layout = plain;
    layout.extra_features = {twice_feature, place_feature};  // in an order of its own
    const WindowConfig config{.context = 9, .subsample = 2, .start = WindowStart::anywhere};
    const WindowSampler sampler{{history.view()}, layout, config}, without{{history.view()}, plain, config};
    ContextBatch batch, rest;
    batch.resize(20, 9, layout);
    std::ranges::fill(batch.features, 77.0f);  // of another batch before
    sampler.sample(20, Rng{4}, batch);
    without.sample(20, Rng{4}, rest);

    CHECK(batch.lengths == rest.lengths);
    CHECK(batch.actions == rest.actions);
    CHECK(layout.feature_count() == 9);
    for (int b = 0; b < 20; ++b) {
      for (int t = 0; t < 9; ++t) {
        const auto row = batch.features_of(b).subspan(static_cast<std::size_t>(9 * t), 9);
        const auto other = std::as_const(rest).features_of(b).subspan(static_cast<std::size_t>(6 * t), 6);
        CHECK(std::ranges::equal(row.first(3), other.first(3)));
        CHECK(std::ranges::equal(row.last(3), other.last(3)));
        const bool is_labeled = batch.weights_of(b)[static_cast<std::size_t>(t)] != 0;
        const std::vector<float> expected =
            is_labeled ? std::vector<float>{2 * telling_reward(static_cast<int>(row[1]), static_cast<int>(row[2])),
                                            row[1], row[2]}
                       : std::vector<float>{0, 0, 0};
        REQUIRE(std::ranges::equal(layout.extra_features_of(row), expected));
      }
    }
    const AllocationCount allocations;
    sampler.sample(20, Rng{5}, batch);
    CHECK(allocations.count() == 0);
  }
}

TEST_CASE("Pictures and extra features stand in one row", "[history]") {
  LearningHistory history{{.observation_space = image_box(1, 2, 1), .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::vector<float>{10, 11});
  recorder.step(std::vector<float>{1}, 0.5f, std::vector<float>{20, 21}, false, false);
  recorder.step(std::vector<float>{0}, 0.25f, std::vector<float>{30, 31}, true, false);
  const LearningHistory with = with_return_to_go(history.view());
  const StepLayout layout{.observation_space = image_box(1, 2, 1),
                          .action_space = Discrete{2},
                          .closing_token = true,
                          .extra_features = {{"return_to_go", 1}}};
  const WindowSampler sampler{{with.view()}, layout, {.context = 3}};
  ContextBatch batch;
  sampler.sample(1, Rng{1}, batch);
  std::vector<float> buffer;

  CHECK(std::ranges::equal(batch.rows_of(0, buffer), std::vector<float>{10, 11, 0.75f, 2, 0, 3,     //
                                                                        20, 21, 0.25f, 1, 0.5f, 0,  //
                                                                        30, 31, 0, 0, 0.25f, 4}));
}

TEST_CASE("What sampling reads of extra features is told beforehand", "[history]") {
  const LearningHistory history = featured(telling_history(1, {3, 5, 2}));
  StepLayout layout = telling_layout();
  const auto bytes_read = [&] {
    const WindowSampler sampler{{history.view()}, layout, {.context = 4}};
    std::size_t count = 0;
    sampler.visit_reads(1, Rng{1}, [&](int, std::span<const std::byte> bytes) { count += bytes.size(); });
    return count;
  };
  const std::size_t without = bytes_read();
  layout.extra_features = {twice_feature};

  CHECK(bytes_read() == without + 4 * 3 * sizeof(float));
}

TEST_CASE("Extra features that a history lacks are refused, as are images of some", "[history]") {
  const LearningHistory history = featured(telling_history(1, {3}));
  const auto error = [&](ExtraFeature feature) {
    StepLayout layout = telling_layout();
    layout.extra_features = {std::move(feature)};
    return error_of([&] { (void)WindowSampler{{history.view()}, layout, {.context = 2}}; });
  };

  CHECK(error(place_feature).empty());
  CHECK(error({"place", 3}) ==
        "window sampler: the layout has the extra feature place of 3 numbers, history 0 has: place (2), twice (1) (add "
        "it with with_extra_feature)");
  CHECK(has(error({"sonar", 1}), "has the extra feature sonar"));
  CHECK(has(error_of([&] { (void)symmetric_image(history.view(), Unmoved{}); }),
            "the history has extra features (place (2), twice (1)), which a symmetry cannot map"));
}

TEST_CASE("Histories with extra features are kept in files of version 3", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory plain = telling_history(0, {2, 1}), history = featured(plain);
  {
    HistoryWriter writer{folder / "h"};
    writer.append(history.view());
    writer.append(plain.view());
  }
  HistoryWriter{folder / "old"}.append(plain.view());
  const HistoryFile file{folder / "h"};

  CHECK(read_bytes(folder / "h")[8] == 3);
  CHECK(read_bytes(folder / "old")[8] == 1);
  CHECK(file.history(0).info() == history.info());
  CHECK(bytes_of(file.history(0)) == bytes_of(history.view()));
  CHECK(bytes_of(file.history(1)) == bytes_of(plain.view()));
  CHECK(std::ranges::equal(file.history(0).episode(1).extra_features(0), history.episode(1).extra_features(0)));

  HistoryWriter old{folder / "old"};
  CHECK(has(error_of([&] { old.append(history.view()); }),
            "and extra features place (2), twice (1), which take format version 3, and the file is of version 1"));
  CHECK(has(error_of([&] {
              (void)icrl::detail::read_description(icrl::detail::write_description(history.info()).bytes(), 2, "it");
            }),
            "set of optional columns is 8, it must lie in 0 .. 7"));
}
