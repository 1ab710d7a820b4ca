// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/on_policy.hpp>

#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <icrl/compress/agreement.hpp>

#include "support/catch.hpp"
#include "support/dark_room_models.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using RoomModel = CausalTransformer<float>;

/// Histories of a source, a teacher, and what distils it.
struct RoomRun {
  RoomModel teacher = small_room_model(1);
  std::vector<int> tasks{0, 1, 2, 3, 8, 9};
  std::vector<LearningHistory> histories =
      roll_out(small_room_model(3), teacher, small_rooms(), tasks, {.episodes = 6, .seed = 1, .thread_count = 1});
  std::vector<HistoryView> source = views(histories);
  WindowConfig windows{.context = 24, .use_expert_action = true};
  DistilConfig config = small_distil(10);
  OnPolicyConfig on_policy{.updates_per_round = 4, .histories_per_round = 8, .episodes = 4, .seed = 5};
  SoftLabelConfig labels{.mix = 0.5};

  template <typename Observer>
  RoomModel train(Observer&& observer) const {
    RoomModel student{{.width = 8, .layer_count = 1, .head_count = 1, .context = 24}, small_room_layout()};
    Rng rng{4};
    student.initialize(rng);
    (void)on_policy_distil(student, SoftLabels{teacher, labels}, small_rooms(), tasks, source, windows, config,
                           on_policy, observer);
    return student;
  }
  RoomModel train() const {
    struct Nobody {
    } nobody;
    return train(nobody);
  }
};

/// Keeps what it is told.
struct Witness {
  std::vector<std::vector<float>> rounds;  // numbers of the histories
  std::vector<std::size_t> counts;
  std::set<std::int64_t> tasks;
  int updates = 0, stop_after = 1000;

  void on_roll_out(int round, std::span<const LearningHistory> histories) {
    CHECK(round == static_cast<int>(rounds.size()));
    rounds.push_back(numbers_of(histories, true));
    counts.push_back(histories.size());
    for (const LearningHistory& history : histories) tasks.insert(history.info().task);
  }
  void on_update(const DistilMetrics& metrics) {
    updates = metrics.update;
    if (updates == stop_after) fail("stopped");
  }
};

/// Also keeps what would be acting.
struct Photographer : Witness {
  std::vector<RoomModel> models;

  double on_evaluate(const RoomModel& model, int) {
    models.push_back(model);
    return 0;
  }
};

}  // namespace

TEST_CASE("A round's histories are lived by the averaged student, on tasks in a random order", "[compress]") {
  RoomRun run;
  run.config.evaluate_every = 4;
  Photographer witness;

  (void)run.train(witness);

  const std::vector<int> tasks = detail::round_tasks(run.tasks, 8, Rng{5}.fork(1));
  CHECK(std::set<int>{tasks.begin(), tasks.begin() + 6} == std::set<int>{run.tasks.begin(), run.tasks.end()});
  CHECK(tasks[6] == tasks[0]);
  const auto expected =
      roll_out(witness.models[0], run.teacher, small_rooms(), tasks, {.episodes = 4, .seed = 5, .stream = 1});
  CHECK(witness.rounds[1] == numbers_of(expected, true));
}

TEST_CASE("On-policy distillation lives anew in every round, on the given tasks only", "[compress]") {
  const RoomRun run;
  Witness witness;

  (void)run.train(witness);

  CHECK(witness.updates == 10);
  CHECK(witness.counts == std::vector<std::size_t>{8, 8, 8});
  CHECK(witness.rounds[0] != witness.rounds[1]);
  CHECK(witness.tasks == std::set<std::int64_t>{run.tasks.begin(), run.tasks.end()});
}

TEST_CASE("On-policy distillation depends neither on threads nor on the size of groups", "[compress]") {
  RoomRun run;
  const RoomModel alone = run.train();
  run.config.thread_count = 3;
  run.on_policy.group_size = 3;
  CHECK(have_equal_bits(run.train(), alone));
  run.on_policy.seed = 6;
  CHECK_FALSE(have_equal_bits(run.train(), alone));
}

TEST_CASE("On-policy distillation without windows of the student is distillation", "[compress]") {
  RoomRun run;
  run.on_policy.student_fraction = 0;
  RoomModel expected{{.width = 8, .layer_count = 1, .head_count = 1, .context = 24}, small_room_layout()};
  Rng rng{4};
  expected.initialize(rng);
  struct Nobody {};
  (void)distil(expected, WindowSampler{run.source, small_room_layout(), run.windows}, run.config, Nobody{},
               SoftLabels{run.teacher, run.labels});

  CHECK(have_equal_bits(run.train(), expected));
}

TEST_CASE("Interrupted on-policy distillation goes on where its last round began, bit for bit", "[compress]") {
  const TemporaryFolder folder;
  RoomRun run;
  Witness whole;
  const RoomModel expected = run.train(whole);
  run.config.checkpoint = folder / "checkpoint";
  run.config.checkpoint_every = 1;
  Witness first, second;
  first.stop_after = 6;

  CHECK_THROWS_WITH(run.train(first), ContainsSubstring("stopped"));
  second.rounds.push_back(whole.rounds[0]);  // it begins in round 1
  CHECK(have_equal_bits(run.train(second), expected));
  CHECK(second.rounds == whole.rounds);

  CHECK(have_equal_bits(run.train(), expected));  // there is nothing left to do
  run.on_policy.student_fraction = 0.25;
  CHECK_THROWS_WITH(run.train(), ContainsSubstring("a share of 0.25"));
}

TEST_CASE("The student's histories have their share of all", "[compress]") {
  const auto histories = fake_histories(id_layout(), 7, 1, 2);
  const std::vector<HistoryView> all = views(histories);
  const std::span<const HistoryView> source = std::span{all}.first(5), student = std::span{all}.last(2);
  for (const double share : {0.01, 0.2, 0.5, 0.9, 0.99, 1.0}) {
    std::map<const void*, int> times;
    int of_student = 0;
    const auto mixed = detail::mixed_histories(source, student, share);
    for (const HistoryView& history : mixed) {
      ++times[&history.info()];
      for (const HistoryView& one : student) of_student += &one.info() == &history.info() ? 1 : 0;
    }

    INFO("share " << share);
    CHECK(of_student == Approx(share * static_cast<double>(mixed.size())).margin(0.51));
    CHECK(times.size() == (share == 1 ? 2u : 7u));
    for (const HistoryView& one : student)
      CHECK(std::abs(2 * times[&one.info()] - of_student) <= 1);  // as often as each other
  }
}

TEST_CASE("A student comes closer to its teacher on what it lives itself", "[compress]") {
  RoomRun run;
  run.labels.mix = 1;
  run.config.updates = 60;
  run.config.learning_rate = 0.02;
  run.on_policy.updates_per_round = 20;
  run.on_policy.student_fraction = 1;
  const auto distance = [&](const RoomModel& student) {
    return measure_agreement(student, run.teacher, small_rooms(), run.tasks, {.episodes = 6, .seed = 8}).kl;
  };
  RoomModel fresh{{.width = 8, .layer_count = 1, .head_count = 1, .context = 24}, small_room_layout()};
  Rng rng{4};
  fresh.initialize(rng);

  CHECK(distance(run.train()) < 0.6 * distance(fresh));
}

TEST_CASE("On-policy distillation that makes no sense is refused", "[compress]") {
  RoomRun run;
  const auto refuses = [&](const OnPolicyConfig& config, const char* text) {
    run.on_policy = config;
    CHECK_THROWS_WITH(run.train(), ContainsSubstring(text));
  };
  refuses({.student_fraction = 1.5}, "student_fraction is 1.5, it must be 0 or lie in 0.01 .. 1");
  refuses({.updates_per_round = 0}, "updates_per_round is 0");
  refuses({.histories_per_round = 0}, "histories_per_round is 0");
  refuses({.episodes = 0}, "episodes is 0");
  refuses({.decoding = {.temperature = -1}}, "temperature");
  run.on_policy = {};
  run.windows.use_expert_action = false;
  CHECK_THROWS_WITH(run.train(), ContainsSubstring("mix is 0.5, so labels count"));
  run.windows.use_expert_action = true;
  run.tasks.clear();
  CHECK_THROWS_WITH(run.train(), ContainsSubstring("no tasks to act on"));
  run.tasks = {25};
  CHECK_THROWS_WITH(run.train(), ContainsSubstring("task 25 is not one of the family's 25 tasks"));
}
