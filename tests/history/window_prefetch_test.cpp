// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/window_sampler.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <icrl/history/history_file.hpp>

#include "support/advice_log.hpp"
#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Bytes = std::vector<std::byte>;

/// A history whose columns of steps can be written over. Observations, actions, rewards, expert actions.
struct OpenHistory {
  LearningHistory history;
  std::vector<Bytes> columns;

  explicit OpenHistory(LearningHistory made) : history{std::move(made)} {
    const HistoryView view = history.view();
    const HistoryColumns& from = view.columns();
    const auto steps = static_cast<std::size_t>(view.step_count());
    const auto rows = steps + static_cast<std::size_t>(view.episode_count());
    keep(from.observations.data, rows * from.observations.row_bytes());
    keep(from.actions.data, steps * from.actions.row_bytes());
    keep(reinterpret_cast<const std::byte*>(from.rewards), steps * sizeof(float));
    keep(from.expert_actions.data, steps * from.expert_actions.row_bytes());
  }
  void keep(const std::byte* data, std::size_t size) { columns.emplace_back(data, data + size); }
  [[nodiscard]] HistoryView view() const {
    HistoryColumns now = history.view().columns();
    now.observations.data = columns[0].data();
    now.actions.data = columns[1].data();
    now.rewards = reinterpret_cast<const float*>(columns[2].data());
    now.expert_actions.data = columns[3].data();
    return {history.info(), now};
  }
};

/// Whether each byte of each column is among those that one window says it reads.
std::vector<std::vector<bool>> bytes_read(const OpenHistory& history, const WindowSampler& sampler, const Rng& rng) {
  std::vector<std::vector<bool>> is_read;
  for (const Bytes& column : history.columns) is_read.emplace_back(column.size(), false);
  sampler.visit_reads(1, rng, [&](int, std::span<const std::byte> bytes) {
    bool is_found = false;
    for (std::size_t c = 0; c < is_read.size(); ++c) {
      const std::byte* const begin = history.columns[c].data();
      if (bytes.data() < begin || bytes.data() >= begin + is_read[c].size()) continue;
      is_found = true;
      for (std::size_t i = 0; i < bytes.size(); ++i)
        is_read[c].at(static_cast<std::size_t>(bytes.data() - begin) + i) = true;
    }
    REQUIRE(is_found);
  });
  return is_read;
}

ContextBatch window_of(const WindowSampler& sampler, const Rng& rng) {
  ContextBatch batch;
  sampler.sample(1, rng, batch);
  return batch;
}

bool are_equal(const ContextBatch& a, const ContextBatch& b) {
  return a.features == b.features && a.actions == b.actions && a.weights == b.weights && a.lengths == b.lengths;
}

/// Writes over all bytes that are read, or over all that are not.
void spoil(OpenHistory& history, const std::vector<std::vector<bool>>& is_read, bool those_read) {
  for (std::size_t c = 0; c < is_read.size(); ++c)
    for (std::size_t i = 0; i < is_read[c].size(); ++i)
      if (is_read[c][i] == those_read) history.columns[c][i] ^= std::byte{0x55};
}

std::vector<std::pair<WindowConfig, bool>> all_kinds() {
  std::vector<std::pair<WindowConfig, bool>> kinds;
  for (const bool closing_token : {false, true})
    for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere})
      for (const int subsample : {1, 3})
        for (const bool other : {false, true}) {
          kinds.push_back({{.context = 9,
                            .subsample = subsample,
                            .skip_fraction = 0.1,
                            .start = start,
                            .shuffle_episodes = other,
                            .use_expert_action = other},
                           closing_token});
        }
  return kinds;
}

/// With episodes of many lengths, and of one.
std::vector<std::pair<std::pair<WindowConfig, bool>, std::vector<int>>> all_kinds_and_lengths() {
  std::vector<std::pair<std::pair<WindowConfig, bool>, std::vector<int>>> all;
  for (const auto& kind : all_kinds()) {
    all.push_back({kind, {3, 1, 4, 2, 5, 3, 3, 12, 1, 1, 2, 4, 6}});
    all.push_back({kind, std::vector<int>(13, 4)});
  }
  return all;
}

/// A file of histories of 60 000 steps, whose columns lie many pages apart, and short ones.
struct LargeHistories {
  TemporaryFolder folder;
  std::vector<LearningHistory> in_memory;
  HistoryFile file;

  LargeHistories() : in_memory{made()}, file{written(folder / "large", in_memory)} {}
  static std::vector<LearningHistory> made() {
    std::vector<LearningHistory> histories;
    for (const int unevenness : {0, 60, 90}) {
      std::vector<int> lengths;
      for (int e = 0; e < 300; ++e) lengths.push_back(e % 2 == 0 ? 200 + unevenness : 200 - unevenness);
      histories.push_back(telling_history(static_cast<int>(histories.size()), lengths));
    }
    histories.push_back(telling_history(3, {2, 1, 4}));
    return histories;
  }
  static std::filesystem::path written(const std::filesystem::path& path,
                                       const std::vector<LearningHistory>& histories) {
    HistoryWriter writer{path};
    for (const LearningHistory& history : histories) writer.append(history.view());
    return path;
  }
};

}  // namespace

TEST_CASE("A window reads what it says it reads and nothing else", "[history]") {
  for (const auto& [kind, lengths] : all_kinds_and_lengths()) {
    const auto& [config, closing_token] = kind;
    OpenHistory history{telling_history(7, lengths, {.has_expert_action = true})};
    const WindowSampler sampler{{history.view()}, telling_layout(closing_token), config};
    const std::vector<Bytes> sound = history.columns;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const Rng rng{seed};
      const ContextBatch before = window_of(sampler, rng);
      const auto is_read = bytes_read(history, sampler, rng);

      spoil(history, is_read, false);
      const ContextBatch unread_spoiled = window_of(sampler, rng);
      history.columns = sound;
      spoil(history, is_read, true);
      const ContextBatch read_spoiled = window_of(sampler, rng);
      history.columns = sound;

      REQUIRE(are_equal(unread_spoiled, before));
      const auto length = static_cast<std::size_t>(before.lengths[0]);
      for (std::size_t row = 0; row < length; ++row) {
        const auto value = [&](const ContextBatch& batch, std::size_t f) { return batch.features[6 * row + f]; };
        for (const std::size_t f : {0u, 1u, 2u}) REQUIRE(value(before, f) != value(read_spoiled, f));
        if (before.weights[row] > 0) REQUIRE(before.actions[row] != read_spoiled.actions[row]);
        const bool has_previous = (static_cast<int>(value(before, 5)) & StepFlag::no_previous) == 0;
        for (const std::size_t f : {3u, 4u}) REQUIRE((value(before, f) != value(read_spoiled, f)) == has_previous);
      }
    }
  }
}

TEST_CASE("A window says of no row too many that it reads it", "[history]") {
  for (const auto& [kind, lengths] : all_kinds_and_lengths()) {
    const auto& [config, closing_token] = kind;
    const OpenHistory history{telling_history(7, lengths, {.has_expert_action = true})};
    const WindowSampler sampler{{history.view()}, telling_layout(closing_token), config};
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const ContextBatch window = window_of(sampler, Rng{seed});
      std::vector<std::ptrdiff_t> counts;
      for (const auto& column : bytes_read(history, sampler, Rng{seed}))
        counts.push_back(std::ranges::count(column, true));

      const auto labels = std::ranges::count(window.weights, 1.0f);
      CHECK(counts[0] == 3 * 2 * window.lengths[0]);  // three ids of two bytes
      CHECK(counts[1] == labels);
      CHECK(counts[2] == 4 * labels);
      CHECK(counts[3] == (config.use_expert_action ? labels : 0));
    }
  }
}

TEST_CASE("What windows of a mapped file read is asked for before", "[history]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const LargeHistories large;
  for (auto [config, closing_token] : all_kinds()) {
    config.use_expert_action = false;
    const WindowSampler sampler{large.file.histories(), telling_layout(closing_token), config};
    const AdviceLog advice;

    sampler.prefetch(5, Rng{3});

    int visits = 0;
    sampler.visit_reads(5, Rng{3}, [&](int, std::span<const std::byte> bytes) {
      ++visits;
      CHECK(advice.covers(bytes, POSIX_MADV_WILLNEED));
    });
    CHECK(visits >= 5 * 3);
    int uncovered = 0;  // the log can tell
    sampler.visit_reads(5, Rng{4}, [&](int, std::span<const std::byte> bytes) {
      uncovered += advice.covers(bytes, POSIX_MADV_WILLNEED) ? 0 : 1;
    });
    CHECK(uncovered > 0);
  }
}

TEST_CASE("The ends of uneven episodes are asked for before the rows that they lead to", "[history]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const LargeHistories large;
  const HistoryView history = large.file.history(1);
  const auto ends = std::as_bytes(std::span{history.columns().episode_ends, 300});
  for (const double history_start_fraction : {0.0, 1.0}) {
    const WindowSampler sampler{
        {history}, telling_layout(), {.context = 9, .history_start_fraction = history_start_fraction}};
    const AdviceLog advice;

    sampler.prefetch(1, Rng{1});

    const auto first = advice.entries().at(0).memory;
    CHECK(advice.covers(ends.first(9 * 8), POSIX_MADV_WILLNEED));
    CHECK((first.data() <= ends.data() && ends.data() < first.data() + first.size()));
    if (history_start_fraction == 0) CHECK(advice.covers(ends, POSIX_MADV_WILLNEED));
  }
}

TEST_CASE("The ends of even episodes are neither asked for nor looked at", "[history]") {
  OpenHistory history{telling_history(1, std::vector<int>(300, 200))};
  HistoryColumns columns = history.view().columns();
  Bytes ends(300 * sizeof(std::uint64_t));
  std::memcpy(ends.data(), columns.episode_ends, ends.size());
  columns.episode_ends = reinterpret_cast<const std::uint64_t*>(ends.data());
  columns.is_mapped = true;
  const WindowSampler sampler{{HistoryView{history.history.info(), columns}}, telling_layout(), {.context = 80}};
  ContextBatch before, after;
  sampler.sample(20, Rng{1}, before);
  std::ranges::fill(ends, std::byte{0x11});
  const AdviceLog advice;

  sampler.prefetch(20, Rng{1});
  sampler.sample(20, Rng{1}, after);

  CHECK(are_equal(after, before));
  CHECK_FALSE(advice.covers(ends, POSIX_MADV_WILLNEED));
}

TEST_CASE("Little more is asked for than a window needs", "[history]") {
  const LargeHistories large;
  const std::vector<HistoryView> long_ones{large.file.history(0), large.file.history(1)};  // even and not
  const WindowSampler sampler{long_ones, telling_layout(), {.context = 80}};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const AdviceLog advice;

    sampler.prefetch(1, Rng{seed});

    std::size_t asked = 0;
    for (const auto& entry : advice.entries()) asked += entry.memory.size();
    // 80 rows of observations, actions and rewards, 300 ends, and for each of these runs the page that it begins in
    CHECK(asked <= 80 * (6 + 1 + 4) + 300 * 8 + 4 * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  }
}

TEST_CASE("For histories in memory nothing is asked for, whatever the count", "[history]") {
  const LargeHistories large;
  std::vector<HistoryView> views;
  for (const LearningHistory& history : large.in_memory) views.push_back(history.view());
  const WindowSampler in_memory{views, telling_layout(), {.context = 9}};
  const WindowSampler mapped{large.file.histories(), telling_layout(), {.context = 9}};
  const AdviceLog advice;

  in_memory.prefetch(100, Rng{1});
  mapped.prefetch(0, Rng{1});

  CHECK(advice.entries().empty());
}

TEST_CASE("Asking changes no window and allocates nothing", "[history]") {
  const LargeHistories large;
  const WindowSampler sampler{large.file.histories(), telling_layout(true), {.context = 30, .shuffle_episodes = true}};
  ContextBatch before, after;
  const Rng rng{5};
  sampler.sample(20, rng, before);
  const AllocationCount allocations;

  for (int i = 0; i < 3; ++i) sampler.prefetch(20, rng);

  CHECK(allocations.count() == 0);
  sampler.sample(20, rng, after);
  CHECK(are_equal(after, before));
}

TEST_CASE("A history file is advised to be read at random, and its windows are those of memory", "[history]") {
  const LargeHistories large;
  std::vector<HistoryView> views;
  for (const LearningHistory& history : large.in_memory) views.push_back(history.view());
  for (const auto& [config, closing_token] : all_kinds()) {
    if (config.use_expert_action) continue;
    const WindowSampler from_memory{views, telling_layout(closing_token), config};
    const WindowSampler from_file{large.file.histories(), telling_layout(closing_token), config};
    ContextBatch expected, found;
    from_memory.sample(50, Rng{9}, expected);

    from_file.sample(50, Rng{9}, found);

    CHECK(are_equal(found, expected));
  }
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const AdviceLog advice;
  const HistoryFile again{large.folder / "large"};
  const auto columns = std::as_bytes(std::span{again.history(1).columns().rewards, 60'000});
  CHECK(advice.covers(columns, POSIX_MADV_RANDOM));
  CHECK(advice.covers(columns, POSIX_MADV_NORMAL));  // while it is checked
  CHECK(advice.entries().back().advice == POSIX_MADV_RANDOM);
}

TEST_CASE("A file whose histories are all checked is read in order meanwhile, and at random afterwards", "[history]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const LargeHistories large;
  auto bytes = read_bytes(large.folder / "large");
  bytes.back() ^= 1;
  write_bytes(large.folder / "damaged", bytes);
  for (const bool is_damaged : {false, true}) {
    const HistoryFile file{large.folder / (is_damaged ? "damaged" : "large")};
    const AdviceLog advice;

    const std::string error = error_of([&] { (void)file.histories(); });

    CHECK(error.empty() == !is_damaged);
    CHECK(advice.entries().front().advice == POSIX_MADV_NORMAL);
    CHECK(advice.entries().back().advice == POSIX_MADV_RANDOM);
  }
}
