// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// The history file, versions 1 to 3. Numbers are little-endian; every part begins at a multiple of 8 bytes and is
// filled up with zeros to the next; checksums are CRC-32C and cover the zeros. The file only ever grows:
//   1. the file header, 16 bytes: characters "ICRLHIST"; u32 format version; u32 checksum of the 12 bytes before
//   2. records to the end of the file, each one history:
//      a. the record header, 56 bytes
//            0  characters "HREC"
//            4  u32 checksum of bytes 8 .. 55
//            8  u64 size of the record in bytes, header included
//           16  u64 index of the history in the file, from 0
//           24  u64 E, number of episodes
//           32  u64 N, number of steps in all episodes
//           40  u32 size of the description in bytes, without filling
//           44  u32 checksum of the description
//           48  u32 checksum of the columns
//           52  u32 0
//      b. the description: observation space, action space, i64 task, u64 seed, u32 optional columns (1 masks,
//         2 behavior probabilities, 4 expert actions, 8 extra features), u32 length of the algorithm's name, its
//         characters. With extra features, in version 3: u32 their number, and of each u32 size, u32 length of its
//         name, its characters.
//         A space is u32 kind, u32 n, then n values: kind 1 Discrete and 2 MultiDiscrete, n u32 counts; kind 3 Box,
//         n f32 lower bounds and n f32 upper bounds. From version 2 on there is kind 4, a Box with a shape or of whole
//         numbers: u32 bytes per number (1 u8, 2 u16, 4 f32), u32 d, d u32 sizes of the shape, and the bounds as in
//         kind 3
//      c. the columns, row after row. Ids are u8 where all counts of their space are up to 256, else u16; numbers of
//         a box are f32, or what kind 4 says:
//            u64 ends (E): steps up to the end of each episode      u8 endings (E): 1 terminated + 2 truncated
//            observations (N + E): one more than steps an episode   actions (N)
//            f32 rewards (N)                                        u8 masks (N, actions), if any
//            f32 behavior probabilities (N), if any                expert actions (N), if any
//            f32 extra features (N, all sizes), if any
// Version 2 differs from 1 in nothing but the new kind of space, 3 from 2 in nothing but the extra features. A file is
// of version 1 unless its first history needs a newer one, so that older readers still read what they can. A record
// that the end of the file cuts off, or zeros only up to the end, be it the whole file, is a torn tail: what a crash
// leaves of an unfinished append. It is no error and holds nothing.

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>
#include <icrl/history/history_description.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl::detail {

struct HistoryFormat {
  static constexpr std::string_view file_magic = "ICRLHIST", record_magic = "HREC";
  static constexpr std::uint32_t newest_version = 3;
  static constexpr std::uint64_t file_header_size = 16, record_header_size = 56;
};

/// What a record header says, after its magic and its own checksum.
struct RecordHeader {
  std::uint64_t size, index, episode_count, step_count;
  std::uint32_t description_size, description_checksum, columns_checksum, zero;
};
static_assert(sizeof(RecordHeader) == 48);

[[nodiscard]] constexpr std::uint64_t filled_up(std::uint64_t size) { return (size + 7) / 8 * 8; }

inline void fill_up(ByteWriter& writer) {
  while (writer.bytes().size() % 8 != 0) writer.value(std::byte{0});
}

/// Walks over the columns of a record and says where each of them lies.
class ColumnCursor {
public:
  ColumnCursor(std::span<const std::byte> bytes, const std::string& what) : rest_{bytes}, what_{what} {}

  const std::byte* take(std::uint64_t rows, std::uint64_t row_bytes) {
    const std::uint64_t left = rest_.size();
    if (row_bytes != 0 && rows > left / row_bytes)
      fail("{}: {} rows of {} bytes do not fit into the {} bytes left of the record", what_, rows, row_bytes, left);
    const std::uint64_t size = filled_up(rows * row_bytes);
    if (size > left) fail("{}: a column of {} bytes ends beyond the record", what_, size);
    const std::byte* const data = rest_.data();
    rest_ = rest_.subspan(static_cast<std::size_t>(size));
    return data;
  }
  template <typename T>
  const T* take_as(std::uint64_t rows, std::uint64_t width = 1) {
    return reinterpret_cast<const T*>(take(rows, width * sizeof(T)));
  }
  ColumnView take_space(std::uint64_t rows, const Space& space) {
    ColumnView column{nullptr, element_type(space), value_count(space)};
    column.data = take(rows, column.row_bytes());
    return column;
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

private:
  std::span<const std::byte> rest_;
  const std::string& what_;
};

/// `bytes` are all the columns of a record whose header is `header`.
[[nodiscard]] inline HistoryColumns lay_out_columns(std::span<const std::byte> bytes, const RecordHeader& header,
                                                    const HistoryInfo& info, const std::string& what) {
  const std::uint64_t episodes = header.episode_count, steps = header.step_count;
  if (episodes > INT_MAX || steps < episodes || steps > bytes.size())
    fail("{}: {} episodes with {} steps in all do not fit into {} bytes", what, episodes, steps, bytes.size());
  ColumnCursor cursor{bytes, what};
  HistoryColumns columns;
  columns.is_mapped = true;
  columns.episode_count = static_cast<int>(episodes);
  columns.episode_ends = cursor.take_as<std::uint64_t>(episodes);
  columns.episode_endings = cursor.take_as<std::uint8_t>(episodes);
  columns.observations = cursor.take_space(steps + episodes, info.observation_space);
  columns.actions = cursor.take_space(steps, info.action_space);
  columns.rewards = cursor.take_as<float>(steps);
  if (info.has_action_mask) {
    columns.mask_size = std::get<Discrete>(info.action_space).count;
    columns.action_masks = cursor.take_as<std::uint8_t>(steps, static_cast<std::uint64_t>(columns.mask_size));
  }
  if (info.has_behavior_probability) columns.behavior_probabilities = cursor.take_as<float>(steps);
  if (info.has_expert_action) columns.expert_actions = cursor.take_space(steps, info.action_space);
  if (!info.extra_features.empty()) {
    columns.extra_size = extra_size(info.extra_features);
    columns.extra_features = cursor.take_as<float>(steps, static_cast<std::uint64_t>(columns.extra_size));
  }
  if (cursor.left() != 0) fail("{}: {} bytes follow the last column", what, cursor.left());
  return columns;
}

/// One whole record of a file, its columns not yet checked.
struct HistoryRecord {
  std::uint64_t offset;  ///< of the record in the file
  HistoryInfo info;
  HistoryColumns columns;
  std::uint64_t step_count;
  std::span<const std::byte> column_bytes;
  std::uint32_t columns_checksum;
};

/// What a file holds: its whole records, and where the last of them ends.
struct HistoryScan {
  std::uint32_t version = 0;  ///< of the format; 0 without a whole file header
  std::vector<HistoryRecord> records;
  std::uint64_t end = 0;
};

[[nodiscard]] inline bool all_zeros(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

[[nodiscard]] inline bool begins_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

[[nodiscard]] inline std::string history_at(const std::string& what, std::size_t index, std::uint64_t offset) {
  return fmt::format("{}: history {} at byte offset {}", what, index, offset);
}

/// The 16 bytes a file begins with.
[[nodiscard]] inline ByteWriter write_file_header(std::uint32_t version = 1) {
  ByteWriter writer;
  writer.values(std::span{HistoryFormat::file_magic});
  writer.value(version);
  writer.value(crc32c(writer.bytes()));
  return writer;
}

/// The version of a file that has its whole header, 0 where the header is torn. Throws Error for the files of others,
/// damaged headers and newer formats.
[[nodiscard]] inline std::uint32_t check_file_header(std::span<const std::byte> file, const std::string& what) {
  if (all_zeros(file)) return 0;
  const auto start = file.first(std::min<std::size_t>(file.size(), HistoryFormat::file_header_size));
  for (std::uint32_t version = 1; version <= HistoryFormat::newest_version; ++version) {
    const ByteWriter expected = write_file_header(version);
    if (std::ranges::equal(start, expected.bytes().first(start.size())))
      return start.size() == HistoryFormat::file_header_size ? version : 0;
  }
  if (!begins_with(file, HistoryFormat::file_magic))
    fail("{}: does not begin with \"{}\" (is it a history file?)", what, HistoryFormat::file_magic);
  ByteReader reader{start.subspan(HistoryFormat::file_magic.size()), what};
  const auto version = reader.value<std::uint32_t>();
  const auto checksum = reader.value<std::uint32_t>(), found = crc32c(start.first(12));
  if (checksum != found) {
    fail("{}: file header at byte offset 0, before history 0, is damaged: its checksum is {:08x}, but {:08x} is stored",
         what, found, checksum);
  }
  fail("{}: format version {}, this build reads versions 1 to {} (was it written by a newer icrl?)", what, version,
       HistoryFormat::newest_version);
}

/// The header of the record that begins `rest`; throws Error where it is damaged. `what` names the history.
[[nodiscard]] inline RecordHeader read_record_header(std::span<const std::byte> rest, std::uint64_t index,
                                                     const std::string& what) {
  if (!begins_with(rest, HistoryFormat::record_magic))
    fail("{}: does not begin with \"{}\" (the file is damaged)", what, HistoryFormat::record_magic);
  std::uint32_t checksum;
  std::memcpy(&checksum, rest.data() + 4, sizeof checksum);
  const auto said = rest.subspan(8, sizeof(RecordHeader));
  if (const auto found = crc32c(said); found != checksum)
    fail("{}: the checksum of the header is {:08x}, but {:08x} is stored (the file is damaged)", what, found, checksum);
  RecordHeader header;
  std::memcpy(&header, said.data(), sizeof header);
  if (header.index != index)
    fail("{}: its header says that it is history {} (the file is damaged)", what, header.index);
  const std::uint64_t least = HistoryFormat::record_header_size + filled_up(header.description_size);
  if (header.size < least || header.size % 8 != 0) {
    fail("{}: header says {} bytes, a record with its description has a multiple of 8, at least {}", what, header.size,
         least);
  }
  return header;
}

/// Finds the records of a file and checks everything except the columns.
[[nodiscard]] inline HistoryScan scan_histories(std::span<const std::byte> file, const std::string& what) {
  HistoryScan scan;
  scan.version = check_file_header(file, what);
  if (scan.version == 0) return scan;
  for (scan.end = HistoryFormat::file_header_size;;) {
    const auto rest = file.subspan(static_cast<std::size_t>(scan.end));
    if (rest.size() < HistoryFormat::record_header_size) return scan;
    if (all_zeros(rest)) return scan;
    const std::string place =
        history_at(fmt::format("{}, whose first {} bytes are whole", what, scan.end), scan.records.size(), scan.end);
    const RecordHeader header = read_record_header(rest, scan.records.size(), place);
    if (header.size > rest.size()) return scan;
    const auto parts = rest.subspan(HistoryFormat::record_header_size,
                                    static_cast<std::size_t>(header.size - HistoryFormat::record_header_size));
    const auto description = parts.first(static_cast<std::size_t>(filled_up(header.description_size)));
    if (const auto found = crc32c(description); found != header.description_checksum) {
      fail("{}: the checksum of the description is {:08x}, but {:08x} is stored (the file is damaged)", place, found,
           header.description_checksum);
    }
    const auto columns = parts.subspan(description.size());
    HistoryRecord record{.offset = scan.end,
                         .info = read_description(description.first(header.description_size), scan.version, place),
                         .columns = {},
                         .step_count = header.step_count,
                         .column_bytes = columns,
                         .columns_checksum = header.columns_checksum};
    record.columns = lay_out_columns(columns, header, record.info, place);
    scan.records.push_back(std::move(record));
    scan.end += header.size;
  }
}

}  // namespace icrl::detail
