// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/file.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/history_format.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/space_check.hpp>

namespace icrl {

namespace detail {

/// Throws Error if the mask of its row forbids an action (which lies in its space).
inline void check_masks(const HistoryRecord& record, const std::string& what) {
  const HistoryColumns& columns = record.columns;
  float action = 0;
  for (std::uint64_t r = 0; r < record.step_count; ++r) {
    columns.actions.read(static_cast<std::int64_t>(r), std::span{&action, 1});
    const std::uint8_t* const mask = columns.action_masks + r * static_cast<std::uint64_t>(columns.mask_size);
    if (mask[static_cast<int>(action)] == 0)
      fail("{}: the action of step {}, {}, is forbidden by its mask", what, r, action);
  }
}

/// Throws Error if the columns, whose checksum is right, are not a valid history: episodes without steps, values
/// outside their space, actions that their mask forbids.
inline void check_columns(const HistoryRecord& record, const std::string& what) {
  const HistoryColumns& columns = record.columns;
  std::uint64_t end = 0;
  for (int e = 0; e < columns.episode_count; ++e) {
    const std::uint64_t next = columns.episode_ends[e];
    if (next <= end || next - end > INT_MAX)
      fail("{}: episode {} begins at step {} and ends before step {}, which is not a valid length", what, e, end, next);
    const int ending = columns.episode_endings[e];
    if (ending < 1 || ending > 3) fail("{}: episode {} has ending {}, it must be 1, 2 or 3", what, e, ending);
    end = next;
  }
  if (end != record.step_count)
    fail("{}: its episodes have {} steps in all, but its header says {}", what, end, record.step_count);

  const auto check_rows = [&](const ColumnView& column, std::uint64_t rows, const Space& space, const char* name) {
    const SpaceCheck check{space};
    std::vector<float> row(check.size());
    for (std::uint64_t r = 0; r < rows; ++r) {
      column.read(static_cast<std::int64_t>(r), row);
      if (!check.contains(row)) fail("{}: {} {} is {}", what, name, r, describe_outside(row, space));
    }
  };
  const auto check_numbers = [&](const float* numbers, float least, const char* name, std::uint64_t width = 1) {
    for (std::uint64_t r = 0; r < record.step_count * width; ++r)
      if (!std::isfinite(numbers[r]) || numbers[r] < least) fail("{}: {} {} is {}", what, name, r, numbers[r]);
  };
  const HistoryInfo& info = record.info;
  const auto episodes = static_cast<std::uint64_t>(columns.episode_count);
  check_rows(columns.observations, record.step_count + episodes, info.observation_space, "observation");
  check_rows(columns.actions, record.step_count, info.action_space, "action");
  check_numbers(columns.rewards, std::numeric_limits<float>::lowest(), "reward");
  if (info.has_behavior_probability) check_numbers(columns.behavior_probabilities, 0, "behavior probability");
  if (info.has_action_mask) check_masks(record, what);
  if (info.has_expert_action) check_rows(columns.expert_actions, record.step_count, info.action_space, "expert action");
  check_numbers(columns.extra_features, std::numeric_limits<float>::lowest(), "extra feature",
                static_cast<std::uint64_t>(columns.extra_size));
}

/// While this object exists, the system expects ascending reads in a part of a file that is otherwise read at random.
class AscendingReads {
public:
  AscendingReads(const MappedFile& file, std::span<const std::byte> part) : file_{file}, part_{part} {
    file_.expect(ReadOrder::ascending, part_);
  }
  ~AscendingReads() { file_.expect(ReadOrder::random, part_); }
  AscendingReads(const AscendingReads&) = delete;
  AscendingReads& operator=(const AscendingReads&) = delete;

private:
  const MappedFile& file_;
  std::span<const std::byte> part_;
};

/// Throws Error if the columns do not have their checksum.
inline void check_columns_checksum(const HistoryRecord& record, const std::string& what, const char* hint) {
  if (const auto found = crc32c(record.column_bytes); found != record.columns_checksum)
    fail("{}: columns have checksum {:08x}, the header says {:08x} ({})", what, found, record.columns_checksum, hint);
}

/// All columns of a history as they lie in a file.
[[nodiscard]] inline ByteWriter write_columns(const HistoryView& history) {
  const HistoryColumns& columns = history.columns();
  const HistoryInfo& info = history.info();
  const auto episodes = static_cast<std::size_t>(history.episode_count());
  const auto steps = static_cast<std::size_t>(history.step_count());
  ByteWriter writer;
  const auto put = [&](const auto* data, std::size_t count) {
    writer.values(std::span{data, count});
    fill_up(writer);
  };
  const auto put_rows = [&](const ColumnView& column, std::size_t rows) {
    put(column.data, rows * column.row_bytes());
  };
  put(columns.episode_ends, episodes);
  put(columns.episode_endings, episodes);
  put_rows(columns.observations, steps + episodes);
  put_rows(columns.actions, steps);
  put(columns.rewards, steps);
  if (info.has_action_mask) put(columns.action_masks, steps * static_cast<std::size_t>(columns.mask_size));
  if (info.has_behavior_probability) put(columns.behavior_probabilities, steps);
  if (info.has_expert_action) put_rows(columns.expert_actions, steps);
  if (columns.extra_size > 0) put(columns.extra_features, steps * static_cast<std::size_t>(columns.extra_size));
  return writer;
}

/// A whole record, as the file's history number `index`.
[[nodiscard]] inline ByteWriter write_record(const HistoryView& history, std::uint64_t index) {
  const ByteWriter columns = write_columns(history);
  ByteWriter description = write_description(history.info());
  const auto description_size = static_cast<std::uint32_t>(description.bytes().size());
  fill_up(description);
  const RecordHeader header{
      .size = HistoryFormat::record_header_size + description.bytes().size() + columns.bytes().size(),
      .index = index,
      .episode_count = static_cast<std::uint64_t>(history.episode_count()),
      .step_count = static_cast<std::uint64_t>(history.step_count()),
      .description_size = description_size,
      .description_checksum = crc32c(description.bytes()),
      .columns_checksum = crc32c(columns.bytes()),
      .zero = 0};
  const auto header_bytes = std::as_bytes(std::span{&header, 1});
  ByteWriter record;
  record.values(std::span{HistoryFormat::record_magic});
  record.value(crc32c(header_bytes));
  record.values(header_bytes);
  record.values(description.bytes());
  record.values(columns.bytes());
  return record;
}

}  // namespace detail

/// Learning histories on disk, mapped into memory: opening a large file is fast, and only the parts that are used are
/// read. The format is described at the top of history_format.hpp.
///
/// Headers and descriptions are checked when the file is opened; the checksum and the values of a history's columns at
/// its first use. Either check throws Error naming the history and the byte where its record begins. Histories may be
/// used from many threads. Other programs may append to the file meanwhile, but must not change or truncate the mapped
/// part.
class HistoryFile {
public:
  /// Opens a file. A torn tail is no error; see torn_bytes().
  explicit HistoryFile(const std::filesystem::path& path)
      : what_{fmt::format("history file \"{}\"", path.string())},
        file_{path, ReadOrder::random},
        scan_{detail::scan_histories(file_.bytes(), what_)},
        is_checked_{std::make_unique<std::atomic<bool>[]>(scan_.records.size())} {}

  /// Whole histories in the file.
  [[nodiscard]] int history_count() const { return static_cast<int>(scan_.records.size()); }

  /// Valid as long as this object exists, even if it is moved.
  [[nodiscard]] HistoryView history(int index) const& {
    ICRL_ASSERT(0 <= index && index < history_count(),
                "HistoryFile::history: index must lie in 0 .. history_count() - 1");
    const auto i = static_cast<std::size_t>(index);
    const detail::HistoryRecord& record = scan_.records[i];
    if (!is_checked(i)) check(i);
    return {record.info, record.columns};
  }

  HistoryView history(int index) const&& = delete;

  /// Every history, each checked.
  [[nodiscard]] std::vector<HistoryView> histories() const& {
    std::vector<HistoryView> views;
    views.reserve(static_cast<std::size_t>(history_count()));
    for (std::size_t i = 0; i < scan_.records.size(); ++i) {
      if (!is_checked(i)) check(i);
      views.emplace_back(scan_.records[i].info, scan_.records[i].columns);
    }
    return views;
  }

  std::vector<HistoryView> histories() const&& = delete;

  /// Bytes at the end of the file that a crash left of an unfinished append. 0 in a sound file.
  [[nodiscard]] std::uint64_t torn_bytes() const { return file_.bytes().size() - scan_.end; }

private:
  [[nodiscard]] bool is_checked(std::size_t i) const { return is_checked_[i].load(std::memory_order_relaxed); }

  void check(std::size_t i) const {
    const detail::HistoryRecord& record = scan_.records[i];
    const detail::AscendingReads of_check{file_, record.column_bytes};
    const std::string place = detail::history_at(what_, i, record.offset);
    detail::check_columns_checksum(record, place, "the file is damaged");
    detail::check_columns(record, place);
    is_checked_[i].store(true, std::memory_order_relaxed);
  }

  std::string what_;
  MappedFile file_;
  detail::HistoryScan scan_;
  std::unique_ptr<std::atomic<bool>[]> is_checked_;
};

/// Appends histories to a file, which it makes if there is none. One writer at a time: a second gets an Error. An
/// incomplete record at the end is cut off first. It refuses, and leaves as it is, what is no history file, a file of a
/// newer version, one with a damaged header, and one whose last history has damaged columns, as after a power failure
/// before sync(). Other histories are checked when they are read.
class HistoryWriter {
public:
  /// Opens a file for appending. Throws Error for those that are refused, and while another writer has it.
  explicit HistoryWriter(const std::filesystem::path& path)
      : what_{fmt::format("history file \"{}\"", path.string())}, file_{path} {
    std::uint64_t end = 0;  // of the last whole record
    {
      const MappedFile mapped{path, ReadOrder::random};
      const auto scan = detail::scan_histories(mapped.bytes(), what_);
      if (!scan.records.empty()) check_last(scan.records.back(), scan.records.size() - 1, mapped);
      version_ = scan.version;
      history_count_ = scan.records.size();
      end = scan.end;
    }
    if (file_.size() != end) file_.truncate(end);
    if (end == 0) begin_file(1);
  }

  /// Adds one history, or throws Error and adds nothing. A history that needs a newer version of the format (boxes that
  /// have a shape or whole numbers, extra features) is refused if the file has an older version and already holds
  /// histories.
  void append(const HistoryView& history) {
    const std::uint32_t version = detail::version_for(history.info());
    if (version > version_) {
      if (history_count_ > 0) {
        fail(
            "{}: history {} has observations {}, actions {} and extra features {}, which take format version {}, and "
            "the file is of version {} (write it to a new file)",
            what_, history_count_, to_short_string(history.info().observation_space),
            to_short_string(history.info().action_space), to_string(history.info().extra_features), version, version_);
      }
      begin_file(version);
    }
    file_.append(detail::write_record(history, history_count_).bytes());
    ++history_count_;
  }

  /// Returns once everything appended is on the disk.
  void sync() { file_.sync(); }

  /// Histories in the file, including those of earlier writers.
  [[nodiscard]] int history_count() const { return static_cast<int>(history_count_); }

private:
  /// Makes the file one of that version, without histories.
  void begin_file(std::uint32_t version) {
    version_ = 0;  // until the header is there
    file_.truncate(0);
    file_.append(detail::write_file_header(version).bytes());
    version_ = version;
  }

  /// Nothing is appended after a damaged record, because readers could not get past it.
  void check_last(const detail::HistoryRecord& last, std::size_t index, const MappedFile& mapped) const {
    const detail::AscendingReads of_check{mapped, last.column_bytes};
    const std::string hint =
        fmt::format("was the power cut before sync()? cut the file to {} bytes to go on", last.offset);
    detail::check_columns_checksum(last, fmt::format("{}: history {}, the last one, is damaged", what_, index),
                                   hint.c_str());
  }

  std::string what_;
  AppendFile file_;
  std::uint32_t version_ = 0;  // of the file's format
  std::uint64_t history_count_ = 0;
};

}  // namespace icrl
