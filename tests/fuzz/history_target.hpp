// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/symmetric_image.hpp>
#include <icrl/history/window_sampler.hpp>

#include "fuzz/spaces.hpp"
#include "fuzz/target.hpp"

namespace icrl::fuzz {

/// Tasks that some histories are of.
[[nodiscard]] inline DarkRooms any_rooms() { return DarkRooms{{.side = 3}}; }

/// A history of made-up values with any optional columns.
[[nodiscard]] inline LearningHistory any_history(Rng& rng) {
  HistoryInfo info{
      .observation_space = any_observation_space(rng), .action_space = any_space(rng), .algorithm = "fuzz"};
  if (rng.chance(0.3)) {
    const DarkRoom room = any_rooms().make(0);
    info.observation_space = room.observation_space();
    info.action_space = room.action_space();
    info.task = rng.below(any_rooms().task_count());
  }
  info.has_action_mask = std::holds_alternative<Discrete>(info.action_space) && rng.chance(0.5);
  info.has_behavior_probability = rng.chance(0.3);
  info.has_expert_action = rng.chance(0.3);
  info.extra_features = any_extra_features(rng);
  const std::vector<float> features(static_cast<std::size_t>(extra_size(info.extra_features)), 0.5f);
  LearningHistory history{info};
  HistoryRecorder recorder{history};
  const std::vector<std::uint8_t> mask(300, 1);
  for (int episode = rng.below(5); episode > 0; --episode) {
    recorder.begin_episode(any_element(info.observation_space, rng));
    for (int left = 1 + rng.below(5); left > 0; --left) {
      const std::vector<float> expert = any_element(info.action_space, rng);
      StepExtras extras{.expert_action = expert, .extra_features = features};
      if (info.has_action_mask) {
        const auto count = static_cast<std::size_t>(std::get<Discrete>(info.action_space).count);
        extras.action_mask = std::span{mask}.first(count);
      }
      const bool terminates = left == 1 && rng.chance(0.5);
      recorder.step(any_element(info.action_space, rng), static_cast<float>(rng.below(3)),
                    any_element(info.observation_space, rng), terminates, left == 1 && !terminates, extras);
    }
  }
  return history;
}

[[nodiscard]] inline Bytes bytes_of(const ByteWriter& writer) {
  const auto* const begin = reinterpret_cast<const char*>(writer.bytes().data());
  return {begin, begin + writer.bytes().size()};
}
[[nodiscard]] inline Bytes record_of(const HistoryView& history, std::uint64_t index = 0) {
  return bytes_of(detail::write_record(history, index));
}

/// A history file, whole or torn, be it one whose version is too old for what it holds.
[[nodiscard]] inline Bytes any_history_file(Rng& rng) {
  Bytes file = bytes_of(detail::write_file_header(rng.chance(0.5) ? 1 : rng.chance(0.5) ? 2 : 3));
  for (int index = 0, count = rng.below(4); index < count; ++index) {
    const LearningHistory history = any_history(rng);
    const Bytes record = record_of(history.view(), static_cast<std::uint64_t>(index));
    file.insert(file.end(), record.begin(), record.end());
  }
  if (rng.chance(0.1)) file.resize(static_cast<std::size_t>(rng.below(static_cast<int>(file.size()) + 1)));
  if (rng.chance(0.1)) file.resize(file.size() + static_cast<std::size_t>(rng.below(100)));
  return file;
}

/// Puts all checksums and indices right, and sizes of records that cannot be, as one who forges a file would.
inline void repair_history_file(Bytes& file, bool with_columns) {
  constexpr std::size_t header_size = detail::HistoryFormat::record_header_size;
  if (file.size() < detail::HistoryFormat::file_header_size) return;
  put_at(file, 12, checksum_of(file, 0, 12));
  std::size_t at = detail::HistoryFormat::file_header_size;
  for (std::uint64_t index = 0; file.size() - at >= header_size; ++index) {
    const std::size_t rest = file.size() - at;
    auto size = number_at<std::uint64_t>(file, at + 8);
    if (size < header_size || size % 8 != 0 || size > rest) {
      constexpr std::string_view magic = detail::HistoryFormat::record_magic;
      const auto next =
          std::search(file.begin() + static_cast<std::ptrdiff_t>(at + 4), file.end(), magic.begin(), magic.end());
      size = (static_cast<std::size_t>(next - file.begin()) - at) / 8 * 8;
      if (size < header_size) return;
      put_at(file, at + 8, size);
    }
    put_at(file, at + 16, index);
    const std::uint64_t description =
        std::min<std::uint64_t>(detail::filled_up(number_at<std::uint32_t>(file, at + 40)), size - header_size);
    const std::size_t begin = at + header_size, middle = begin + description, end = at + size;
    put_at(file, at + 44, checksum_of(file, begin, middle));
    if (with_columns) put_at(file, at + 48, checksum_of(file, middle, end));
    put_at(file, at + 4, checksum_of(file, at + 8, begin));
    at = end;
  }
}

/// Reads histories and looks at all of them, makes their images, cuts windows, and appends what was read to another
/// file.
struct HistoryReaderTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) { return any_history_file(rng); }

  static void run(Choices choices, Bytes file) {
    static MemoryFile memory, copy;
    if (!choices.once_in(32)) repair_history_file(file, !choices.once_in(32));
    memory.write(file);
    const HistoryFile histories{memory.path()};
    require(histories.torn_bytes() <= file.size(), "a torn tail lies in the file");
    std::vector<HistoryView> views;
    for (int i = 0; i < histories.history_count(); ++i) {
      try {
        views.push_back(histories.history(i));
      } catch (const Error&) {
        continue;  // the others are read
      }
      look_at(views.back());
    }
    if (views.empty()) return;
    (void)keep_solved(views, 1 + choices.below(3));
    if (choices.once_in(4)) append(views, copy);
    if (choices.once_in(2)) make_images(views);
    const auto first = static_cast<std::size_t>(choices.below(static_cast<int>(views.size())));
    cut_windows({views[first]}, choices);
    cut_windows(std::move(views), choices);
  }

private:
  static void look_at(const HistoryView& history) {
    const HistoryInfo& info = history.info();
    std::vector<float> observation(static_cast<std::size_t>(value_count(info.observation_space))),
        action(static_cast<std::size_t>(value_count(info.action_space)));
    std::int64_t steps = 0;
    for (int e = 0; e < history.episode_count(); ++e) {
      const EpisodeView episode = history.episode(e);
      require(episode.length() > 0 && (episode.terminated() || episode.truncated()), "an episode has steps and an end");
      require(std::isfinite(episode.total_reward()), "rewards are finite");
      for (int t = 0; t <= episode.length(); ++t) {
        episode.observation(t, observation);
        require(contains(info.observation_space, observation), "observations lie in their space");
        if (t == episode.length()) break;
        episode.action(t, action);
        require(contains(info.action_space, action), "actions lie in their space");
        if (info.has_expert_action) episode.expert_action(t, action);
        require(contains(info.action_space, action), "expert actions lie in their space");
        if (info.has_behavior_probability)
          require(episode.behavior_probability(t) >= 0, "a probability is not negative");
        for (const float number : episode.extra_features(t)) require(std::isfinite(number), "features are finite");
        if (info.has_action_mask) {
          const auto mask = episode.action_mask(t);
          require(mask.size() == static_cast<std::size_t>(std::get<Discrete>(info.action_space).count),
                  "a mask has a byte per action");
          (void)std::any_of(mask.begin(), mask.end(), [](std::uint8_t allowed) { return allowed != 0; });
        }
      }
      steps += episode.length();
    }
    require(steps == history.step_count(), "episodes have all steps");
    LearningCurves curves{{0}, 1, history.episode_count()};
    set_returns(curves, 0, 0, history);
  }

  /// What has been read can be written, and is read again as it was.
  static void append(const std::vector<HistoryView>& views, MemoryFile& copy) {
    copy.write({});
    {
      HistoryWriter writer{copy.path()};
      for (const HistoryView& view : views) writer.append(view);
    }
    const HistoryFile again{copy.path()};
    require(again.history_count() == static_cast<int>(views.size()) && again.torn_bytes() == 0, "all were written");
    for (std::size_t i = 0; i < views.size(); ++i) {
      const HistoryView view = again.history(static_cast<int>(i));
      require(view.info() == views[i].info() && record_of(view) == record_of(views[i]), "a history comes back");
    }
  }

  static void make_images(const std::vector<HistoryView>& views) {
    const DarkRooms rooms = any_rooms();
    std::vector<int> tasks(static_cast<std::size_t>(rooms.task_count()));
    std::iota(tasks.begin(), tasks.end(), 0);
    SymmetricImages<DarkRooms> images{rooms, tasks};
    for (const HistoryView& view : views) {
      try {
        images.make(view, [&](const LearningHistory& image) {
          require(image.step_count() == view.step_count() && image.episode_count() == view.episode_count(),
                  "an image has the steps of its history");
          look_at(image.view());
        });
      } catch (const Error&) {
        continue;  // a history of other spaces or tasks
      }
    }
  }

  static void cut_windows(std::vector<HistoryView> views, Choices choices) {
    const HistoryInfo& info = views[0].info();
    StepLayout layout{info.observation_space, info.action_space, choices.once_in(2)};
    if (choices.once_in(2)) layout.extra_features = info.extra_features;
    const WindowConfig config{.context = 1 + choices.below(12),
                              .subsample = 1 + choices.below(3),
                              .skip_fraction = choices.below(3) / 3.0,
                              .start = choices.once_in(2) ? WindowStart::episode : WindowStart::anywhere,
                              .history_start_fraction = choices.below(3) / 2.0,
                              .shuffle_episodes = choices.once_in(3),
                              .use_expert_action = choices.once_in(3)};
    try {
      const WindowSampler sampler{std::move(views), layout, config};
      require(sampler.longest_episode() > 0, "there is an episode");
      ContextBatch batch;
      const Rng rng = choices.rng();
      sampler.prefetch(3, rng);
      sampler.sample(3, rng, batch);
      unsigned sum = 0;
      sampler.visit_reads(3, rng, [&](int, std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) sum += static_cast<unsigned>(byte);
      });
      for (const int length : batch.lengths)
        require(length > 0 && length <= config.context && sum < UINT_MAX, "a window has rows");
    } catch (const Error&) {
      return;  // histories of several spaces, or without what is asked for
    }
  }
};
static_assert(Target<HistoryReaderTarget>);

/// Opens a file to go on with it: it is refused and left as it is, or a history more is in it afterwards.
struct HistoryWriterTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) { return any_history_file(rng); }

  static void run(Choices choices, Bytes file) {
    static MemoryFile memory;
    if (!choices.once_in(32)) repair_history_file(file, true);
    if (choices.once_in(4)) file.resize(file.size() - file.size() * static_cast<std::size_t>(choices.below(16)) / 16);
    memory.write(file);
    Rng rng = choices.rng();
    const LearningHistory added = any_history(rng);
    std::optional<HistoryWriter> writer;
    try {
      writer.emplace(memory.path());
    } catch (const Error&) {
      require(memory.read() == file, "a file that is refused is left as it is");
      throw;
    }
    const int count = writer->history_count();
    const Bytes kept = memory.read();
    try {
      writer->append(added.view());
    } catch (const Error&) {
      require(count > 0 && number_at<std::uint32_t>(kept, 8) < detail::version_for(added.info()),
              "only what is newer than the histories before it is refused");
      require(memory.read() == kept, "a history that is refused leaves the file as it is");
      throw;
    }
    require(writer->history_count() == count + 1, "a writer counts its histories");
    writer.reset();

    const Bytes written = memory.read();
    const bool is_start = kept.size() <= file.size() && std::equal(kept.begin(), kept.end(), file.begin());
    require(is_start || (count == 0 && kept.size() == detail::HistoryFormat::file_header_size),
            "only a torn tail is cut off");
    require(written.size() > kept.size() && (count == 0 || std::equal(kept.begin(), kept.end(), written.begin())),
            "a writer only appends to histories");
    const HistoryFile histories{memory.path()};
    require(histories.history_count() == count + 1 && histories.torn_bytes() == 0, "a recovered file is whole");
    const HistoryView view = histories.history(count);
    require(view.info() == added.info() && record_of(view) == record_of(added.view()), "the history added is read");
    require(HistoryWriter{memory.path()}.history_count() == count + 1, "the next writer goes on");
  }
};
static_assert(Target<HistoryWriterTarget>);

}  // namespace icrl::fuzz
