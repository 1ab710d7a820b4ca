// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/history_file.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <locale>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/checksum.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const HistoryInfo all_columns{.algorithm = "teller",
                              .seed = 99,
                              .has_action_mask = true,
                              .has_behavior_probability = true,
                              .has_expert_action = true};

/// Three small histories of different kinds.
std::vector<LearningHistory> some_histories() {
  std::vector<LearningHistory> histories;
  histories.push_back(telling_history(0, {2, 1, 3}, all_columns));
  histories.push_back(telling_history(1, {}));
  LearningHistory box{{.observation_space = Box{{-1, -2}, {1, 2}}, .action_space = Box{{0}, {1}}, .task = -7}};
  HistoryRecorder recorder{box};
  recorder.begin_episode(std::array{0.5f, -1.5f});
  recorder.step(std::array{0.25f}, -3.5f, std::array{-1.0f, 2.0f}, true, false);
  histories.push_back(std::move(box));
  return histories;
}

void write(const std::filesystem::path& path, const std::vector<LearningHistory>& histories) {
  HistoryWriter writer{path};
  for (const LearningHistory& history : histories) writer.append(history.view());
}

/// A history of pictures, one byte per number, that says where its numbers come from.
LearningHistory picture_history(int episodes = 2, const Box& space = image_box(2, 3, 1)) {
  LearningHistory history{{.observation_space = space, .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  for (int e = 0; e < episodes; ++e) {
    const auto picture = [e](int t) {
      std::vector<float> numbers;
      for (int i = 0; i < 6; ++i) numbers.push_back(static_cast<float>(250 - 100 * e - 10 * t + i));
      return numbers;
    };
    recorder.begin_episode(picture(0));
    recorder.step(std::array{1.0f}, 0.5f, picture(1), false, false);
    recorder.step(std::array{0.0f}, 0.25f, picture(2), true, false);
  }
  return history;
}

/// Every value of two histories, compared bit by bit through the columns' bytes.
bool same(const HistoryView& a, const HistoryView& b) {
  const auto bytes = [](const HistoryView& history) {
    const auto writer = detail::write_record(history, 0);
    return std::vector<std::byte>(writer.bytes().begin(), writer.bytes().end());
  };
  return a.info() == b.info() && bytes(a) == bytes(b);
}

/// Opens the file and looks at all of it.
std::string error_in(const std::filesystem::path& path) {
  return error_of([&] {
    const HistoryFile file{path};
    (void)file.histories();
  });
}

std::uint64_t size_of_record(const HistoryView& history) { return detail::write_record(history, 0).bytes().size(); }

}  // namespace

TEST_CASE("A file gives back the histories that were written", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "h", histories);

  const HistoryFile file{folder / "h"};

  REQUIRE(file.history_count() == 3);
  CHECK(file.torn_bytes() == 0);
  for (std::size_t i = 0; i < 3; ++i) CHECK(same(file.history(static_cast<int>(i)), histories[i].view()));
  CHECK(file.history(0).info().algorithm == "teller");
  CHECK(file.history(2).info().task == -7);
  std::array<float, 2> observation;
  file.history(2).episode(0).observation(1, observation);
  CHECK(observation == std::array{-1.0f, 2.0f});
}

TEST_CASE("The bytes of a file are those of its format", "[history]") {
  const TemporaryFolder folder;
  LearningHistory history{{.observation_space = Discrete{3}, .action_space = Discrete{300}, .task = 5, .seed = 6}};
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::array{1.0f});
  recorder.step(std::array{258.0f}, 1, std::array{2.0f}, true, false);
  HistoryWriter{folder / "h"}.append(history.view());

  const auto bytes = read_bytes(folder / "h");
  const auto u32 = [&](std::size_t at) {
    std::uint32_t number;
    std::memcpy(&number, bytes.data() + at, 4);
    return number;
  };
  CHECK(std::string(bytes.data(), 8) == "ICRLHIST");
  CHECK(u32(8) == 1);
  CHECK(u32(12) == crc32c(std::as_bytes(std::span{bytes}).first(12)));
  CHECK(std::string(bytes.data() + 16, 4) == "HREC");
  CHECK(u32(20) == crc32c(std::as_bytes(std::span{bytes}).subspan(24, 48)));
  CHECK(u32(24) == bytes.size() - 16);       // record size
  CHECK(u32(40) == 1);                       // episodes
  CHECK(u32(48) == 1);                       // steps
  CHECK(u32(56) == 2 * 12 + 8 + 8 + 4 + 4);  // description
  const std::size_t description = 16 + 56, columns = description + 48;
  CHECK(std::vector<std::uint32_t>{u32(description), u32(description + 4), u32(description + 8)} ==
        std::vector<std::uint32_t>{1, 1, 3});
  CHECK(u32(description + 24) == 5);       // task
  CHECK(u32(columns) == 1);                // the first episode ends after one step
  CHECK(u32(columns + 8) == 1);            // terminated
  CHECK(u32(columns + 16) == 0x0201);      // observations 1 and 2, a byte each
  CHECK(u32(columns + 24) == 258);         // action, two bytes
  CHECK(u32(columns + 32) == 0x3F800000);  // reward 1.0f
  CHECK(bytes.size() == columns + 40);
}

TEST_CASE("A file that the first release wrote is read and written again byte for byte", "[history]") {
  const char* const hexadecimal =
      "4943524c4849535401000000d876e5d048524543d97e8ceeb00000000000000000000000000000000100000000000000"
      "01000000000000003f000000ea9d1ac30585b738000000000300000002000000000080bf000000c00000803f00000040"
      "01000000010000002c010000f9ffffffffffffff090000000000000002000000030000006f6c64000100000000000000"
      "01000000000000000000003f0000c0bf000080bf000000400201000000000000000060c0000000000000803e00000000";
  std::string bytes;
  for (const std::string_view digits{hexadecimal}; 2 * bytes.size() < digits.size();)
    bytes.push_back(static_cast<char>(std::stoi(std::string{digits.substr(2 * bytes.size(), 2)}, nullptr, 16)));
  const TemporaryFolder folder;
  write_bytes(folder / "old", bytes);

  const HistoryFile file{folder / "old"};
  HistoryWriter{folder / "new"}.append(file.history(0));

  const HistoryInfo& info = file.history(0).info();
  CHECK(info.observation_space == Space{Box{{-1, -2}, {1, 2}}});
  CHECK(info.action_space == Space{Discrete{300}});
  CHECK(info.task == -7);
  CHECK(info.seed == 9);
  CHECK(info.algorithm == "old");
  const EpisodeView episode = file.history(0).episode(0);
  std::array<float, 2> observation;
  std::array<float, 1> action;
  episode.observation(1, observation);
  episode.action(0, action);
  CHECK(observation == std::array{-1.0f, 2.0f});
  CHECK(action[0] == 258);
  CHECK(episode.reward(0) == -3.5f);
  CHECK(episode.behavior_probability(0) == 0.25f);
  CHECK(read_bytes(folder / "new") == std::vector<char>(bytes.begin(), bytes.end()));
}

TEST_CASE("A file of pictures is of version 2 and has a byte per number", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory history = picture_history();
  HistoryWriter{folder / "h"}.append(history.view());

  const auto bytes = read_bytes(folder / "h");
  const auto u32 = [&](std::size_t at) {
    std::uint32_t number;
    std::memcpy(&number, bytes.data() + at, 4);
    return number;
  };
  CHECK(u32(8) == 2);
  CHECK(u32(12) == crc32c(std::as_bytes(std::span{bytes}).first(12)));
  const std::size_t space = 16 + 56, bounds = space + 4 * (4 + 3),
                    columns = bounds + 2 * 6 * 4 + 12 + 8 + 8 + 4 + 4 + 0;
  for (const auto& [word, number] : std::vector<std::pair<std::size_t, std::uint32_t>>{
           {0, 4}, {1, 6}, {2, 1}, {3, 3}, {4, 2}, {5, 3}, {6, 1}, {7, 0}, {12, 0}, {13, 0x437F0000}, {18, 0x437F0000}})
    CHECK(u32(space + 4 * word) == number);
  CHECK(u32(bounds + 48) == 1);  // the action space follows
  const std::size_t first_picture = columns + 16 + 8;
  for (std::size_t i = 0; i < 18; ++i) {
    const int expected = 250 - 10 * static_cast<int>(i / 6) + static_cast<int>(i % 6);
    CHECK(static_cast<unsigned char>(bytes[first_picture + i]) == expected);
  }
  CHECK(bytes.size() == first_picture + 40 + 8 + 16);

  const HistoryFile file{folder / "h"};
  CHECK(same(file.history(0), history.view()));
  CHECK(file.history(0).columns().observations.type == ElementType::u8);
}

TEST_CASE("All shapes and element types come back from a file", "[history]") {
  const TemporaryFolder folder;
  std::vector<LearningHistory> histories;
  for (const ElementType element : {ElementType::u8, ElementType::u16, ElementType::f32}) {
    for (const std::vector<int>& shape : {std::vector<int>{}, {6}, {1, 3, 2}, {1, 1, 1, 1, 1, 1, 1, 6}})
      histories.push_back(
          picture_history(2, Box{std::vector<float>(6, 0), std::vector<float>(6, 255), shape, element}));
  }
  write(folder / "h", histories);

  const HistoryFile file{folder / "h"};

  for (std::size_t i = 0; i < histories.size(); ++i)
    CHECK(same(file.history(static_cast<int>(i)), histories[i].view()));
}

TEST_CASE("A writer begins a file of version 2 for pictures, and refuses them behind histories of version 1",
          "[history]") {
  const TemporaryFolder folder;
  const LearningHistory plain = telling_history(1, {2}), pictures = picture_history();
  HistoryWriter{folder / "plain"}.append(plain.view());
  const auto before = read_bytes(folder / "plain");

  HistoryWriter writer{folder / "plain"};
  CHECK(has(error_of([&] { writer.append(pictures.view()); }),
            "which take format version 2, and the file is of version 1 (write it to a new file)"));
  CHECK(read_bytes(folder / "plain") == before);
  writer.append(plain.view());
  CHECK(HistoryFile{folder / "plain"}.history_count() == 2);

  {
    HistoryWriter first{folder / "mixed"};
    CHECK(read_bytes(folder / "mixed").size() == 16);  // of version 1
    first.append(pictures.view());
    first.append(plain.view());
  }
  HistoryWriter{folder / "mixed"}.append(pictures.view());
  const HistoryFile mixed{folder / "mixed"};
  REQUIRE(mixed.history_count() == 3);
  CHECK(same(mixed.history(0), pictures.view()));
  CHECK(same(mixed.history(1), plain.view()));
  CHECK(same(mixed.history(2), pictures.view()));
}

TEST_CASE("A writer goes on where the last one ended", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "once", histories);

  for (std::size_t i = 0; i < histories.size(); ++i) {
    HistoryWriter writer{folder / "thrice"};
    CHECK(writer.history_count() == static_cast<int>(i));
    writer.append(histories[i].view());
    writer.sync();
  }

  CHECK(read_bytes(folder / "thrice") == read_bytes(folder / "once"));
}

TEST_CASE("A file cut at any byte loses only the record that was cut", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "whole", histories);
  const auto bytes = read_bytes(folder / "whole");
  std::vector<std::uint64_t> ends{16};
  for (const LearningHistory& history : histories) ends.push_back(ends.back() + size_of_record(history.view()));
  REQUIRE(ends.back() == bytes.size());

  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    write_bytes(folder / "cut", std::span{bytes}.first(cut));
    int whole = 0;
    while (whole < 3 && ends[static_cast<std::size_t>(whole) + 1] <= cut) ++whole;

    const HistoryFile file{folder / "cut"};

    REQUIRE(file.history_count() == whole);
    REQUIRE(file.torn_bytes() == (cut < 16 ? cut : cut - ends[static_cast<std::size_t>(whole)]));
    for (int i = 0; i < whole; ++i) REQUIRE(same(file.history(i), histories[static_cast<std::size_t>(i)].view()));
  }
}

TEST_CASE("A writer cuts a torn tail off and writes the same bytes again", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "whole", histories);
  const auto bytes = read_bytes(folder / "whole");

  for (std::size_t cut = 0; cut <= bytes.size(); cut += 5) {
    write_bytes(folder / "cut", std::span{bytes}.first(cut));
    HistoryWriter writer{folder / "cut"};

    for (auto i = static_cast<std::size_t>(writer.history_count()); i < 3; ++i) writer.append(histories[i].view());

    REQUIRE(read_bytes(folder / "cut") == bytes);
  }
}

TEST_CASE("Zeros that a crash left behind are a torn tail", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "h", histories);
  auto bytes = read_bytes(folder / "h");
  const std::size_t size = bytes.size();
  bytes.resize(size + 4096);
  write_bytes(folder / "h", bytes);

  CHECK(HistoryFile{folder / "h"}.torn_bytes() == 4096);
  CHECK(HistoryWriter{folder / "h"}.history_count() == 3);
  CHECK(std::filesystem::file_size(folder / "h") == size);
}

TEST_CASE("A file of zeros only is a torn tail", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "whole", histories);
  for (const std::size_t size : {1u, 15u, 16u, 72u, 5000u}) {
    write_bytes(folder / "zeros", std::string(size, '\0'));
    CHECK(HistoryFile{folder / "zeros"}.history_count() == 0);
    CHECK(HistoryFile{folder / "zeros"}.torn_bytes() == size);

    write(folder / "zeros", histories);

    CHECK(read_bytes(folder / "zeros") == read_bytes(folder / "whole"));
  }
}

TEST_CASE("A writer does not append behind columns that a power failure has damaged", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "h", histories);
  const auto whole = read_bytes(folder / "h");
  const std::uint64_t last = whole.size() - size_of_record(histories[2].view());
  auto bytes = whole;
  std::fill(bytes.end() - 24, bytes.end(), '\0');  // a header that reached the disk, columns that did not
  write_bytes(folder / "h", bytes);

  const std::string error = error_of([&] { HistoryWriter{folder / "h"}; });

  CHECK(has(error, "history 2, the last one, is damaged: columns have checksum"));
  CHECK(has(error, "(was the power cut before sync()? cut the file to " + std::to_string(last) + " bytes to go on)"));
  CHECK(read_bytes(folder / "h") == bytes);
  std::filesystem::resize_file(folder / "h", last);
  HistoryWriter{folder / "h"}.append(histories[2].view());
  CHECK(read_bytes(folder / "h") == whole);
}

TEST_CASE("Every flipped bit is found and placed", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "whole", histories);
  auto bytes = read_bytes(folder / "whole");

  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::uint64_t record = 16;
    std::size_t index = 0;
    while (at >= 16 && at >= record + size_of_record(histories[index].view()))
      record += size_of_record(histories[index++].view());
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      write_bytes(folder / "flipped", bytes);

      const std::string error = error_in(folder / "flipped");

      INFO("byte " << at << " bit " << bit << ": " << error);
      if (at < 8) {
        REQUIRE(has(error, "is it a history file?"));
      } else if (at < 16) {
        REQUIRE(has(error, "file header at byte offset 0, before history 0"));
      } else {
        REQUIRE(has(error, "history " + std::to_string(index) + " at byte offset " + std::to_string(record)));
      }
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    }
  }
}

TEST_CASE("Damage in one history's columns leaves the others readable", "[history]") {
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "h", histories);
  auto bytes = read_bytes(folder / "h");
  const std::size_t last_byte_of_first = 16 + size_of_record(histories[0].view()) - 1;
  bytes[last_byte_of_first] ^= 1;
  write_bytes(folder / "h", bytes);

  const HistoryFile file{folder / "h"};

  CHECK(has(error_of([&] { (void)file.history(0); }), "columns have checksum"));
  CHECK(has(error_of([&] { (void)file.history(0); }), "columns have checksum"));
  CHECK(same(file.history(2), histories[2].view()));
}

TEST_CASE("A newer format is refused by name and left as it is", "[history]") {
  const TemporaryFolder folder;
  write(folder / "h", some_histories());
  auto bytes = read_bytes(folder / "h");
  bytes[8] = 4;
  const std::uint32_t checksum = crc32c(std::as_bytes(std::span{bytes}).first(12));
  std::memcpy(bytes.data() + 12, &checksum, 4);
  write_bytes(folder / "h", bytes);

  CHECK(has(error_in(folder / "h"), "format version 4, this build reads versions 1 to 3"));
  CHECK(has(error_of([&] { HistoryWriter{folder / "h"}; }), "format version 4, this build reads versions 1 to 3"));
  CHECK(read_bytes(folder / "h") == bytes);
}

TEST_CASE("A file of somebody else is refused and left as it is", "[history]") {
  const TemporaryFolder folder;
  std::string zeros_and_more(200, '\0');
  zeros_and_more.push_back('x');
  for (const std::string& text :
       {std::string{"x"}, std::string{"ICRLHISx"}, std::string{"a letter to my aunt, quite long"}, zeros_and_more}) {
    write_bytes(folder / "letter", text);

    CHECK(has(error_in(folder / "letter"), "does not begin with \"ICRLHIST\""));
    CHECK_THROWS_AS(HistoryWriter{folder / "letter"}, Error);
    CHECK(read_bytes(folder / "letter") == std::vector<char>(text.begin(), text.end()));
  }
}

TEST_CASE("A second writer is refused while the first is there", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory history = telling_history(0, {1});
  {
    HistoryWriter first{folder / "h"};
    CHECK(has(error_of([&] { HistoryWriter{folder / "h"}; }), "another writer"));
    first.append(history.view());
  }
  CHECK(HistoryWriter{folder / "h"}.history_count() == 1);
}

TEST_CASE("A file that is not there is refused", "[history]") {
  const TemporaryFolder folder;

  CHECK(has(error_in(folder / "nowhere"), "nowhere"));
}

TEST_CASE("A file can be read while it grows", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory early = telling_history(0, {2}), late = telling_history(1, {2});
  HistoryWriter writer{folder / "h"};
  writer.append(early.view());
  const HistoryFile file{folder / "h"};

  writer.append(late.view());

  CHECK(file.history_count() == 1);
  CHECK(file.history(0).step_count() == 2);
  CHECK(HistoryFile{folder / "h"}.history_count() == 2);
}

TEST_CASE("Views stay valid when their file object is moved", "[history]") {
  const TemporaryFolder folder;
  write(folder / "h", some_histories());
  HistoryFile first{folder / "h"};
  const HistoryView view = first.history(0);

  const HistoryFile second{std::move(first)};

  CHECK(view.info().algorithm == "teller");
  CHECK(view.episode(2).reward(1) == telling_reward(2, 1));
}

namespace {

/// Writes a file of one record whose parts are as given and whose checksums are right, as a forger would.
struct Forgery {
  detail::RecordHeader header{};
  ByteWriter description, columns;
  std::uint32_t version;

  explicit Forgery(const HistoryView& history)
      : description{detail::write_description(history.info())},
        columns{detail::write_columns(history)},
        version{detail::version_for(history.info())} {
    header.description_size = static_cast<std::uint32_t>(description.bytes().size());
    detail::fill_up(description);
    header.episode_count = static_cast<std::uint64_t>(history.episode_count());
    header.step_count = static_cast<std::uint64_t>(history.step_count());
    header.size = 56 + description.bytes().size() + columns.bytes().size();
  }

  [[nodiscard]] std::string error(const std::filesystem::path& path) {
    header.description_checksum = crc32c(description.bytes());
    header.columns_checksum = crc32c(columns.bytes());
    ByteWriter file = detail::write_file_header(version);
    const auto header_bytes = std::as_bytes(std::span{&header, 1});
    file.values(std::span<const char>{"HREC", 4});
    file.value(crc32c(header_bytes));
    file.values(header_bytes);
    file.values(description.bytes());
    file.values(columns.bytes());
    const auto bytes = file.bytes();
    write_bytes(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return error_in(path);
  }

  /// Overwrites bytes of the columns.
  template <typename T>
  void put(std::size_t at, T number) {
    put_into(columns, at, number);
  }
  template <typename T>
  static void put_into(ByteWriter& part, std::size_t at, T number) {
    std::vector<std::byte> bytes(part.bytes().begin(), part.bytes().end());
    std::memcpy(bytes.data() + at, &number, sizeof number);
    part = {};
    part.values(std::span<const std::byte>{bytes});
  }
};

}  // namespace

TEST_CASE("Sizes that the file cannot hold are refused before anything is made of them", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory history = telling_history(0, {2, 3});
  const auto forged = [&](auto change) {
    Forgery forgery{history.view()};
    change(forgery);
    return forgery.error(folder / "h");
  };
  REQUIRE(forged([](Forgery&) {}).empty());
  constexpr auto huge = std::numeric_limits<std::uint64_t>::max();

  CHECK(has(forged([](Forgery& f) { f.header.episode_count = huge; }), "history 0 at byte offset 16"));
  CHECK(has(forged([](Forgery& f) { f.header.step_count = huge; }), "steps in all do not fit into"));
  CHECK(has(forged([](Forgery& f) { f.header.step_count = huge / 4 + 2; }), "steps in all do not fit into"));
  CHECK(has(forged([](Forgery& f) { f.header.step_count = f.header.episode_count = 40; }), "do not fit"));
  CHECK(has(forged([](Forgery& f) { f.header.step_count = 1; }), "steps in all do not fit into"));
  CHECK(has(forged([](Forgery& f) { f.header.description_size = 0xFFFFFFFF; }), "header says"));
  CHECK(has(forged([](Forgery& f) { f.header.size = 8; }), "header says"));
  CHECK(has(forged([](Forgery& f) { f.header.size -= 8; }), "history 0 at byte offset 16"));
  CHECK(has(forged([](Forgery& f) { f.header.index = 1; }), "it is history 1"));
  CHECK(has(forged([](Forgery& f) {
              ByteWriter spaces;
              spaces.value(std::uint32_t{3});
              spaces.value(std::uint32_t{0x40000000});
              detail::fill_up(spaces);
              f.header.size += spaces.bytes().size() - f.description.bytes().size();
              f.header.description_size = 8;
              f.description = spaces;
            }),
            "size of a space"));
}

TEST_CASE("Values that no recorder would have let in are refused", "[history]") {
  const TemporaryFolder folder;
  LearningHistory history{{.observation_space = Discrete{3}, .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  for (int e = 0; e < 2; ++e) {
    recorder.begin_episode(std::array{1.0f});
    recorder.step(std::array{1.0f}, 1, std::array{2.0f}, true, false);
  }
  const auto forged = [&](std::size_t at, auto number) {
    Forgery forgery{history.view()};
    forgery.put(at, number);
    return forgery.error(folder / "h");
  };
  // ends (2 x u64), endings (2), observations (4), actions (2), rewards (2 x f32), each filled up to 8 bytes
  REQUIRE(forged(0, std::uint64_t{1}).empty());

  CHECK(has(forged(0, std::uint64_t{0}), "episode 0 begins at step 0 and ends before step 0"));
  CHECK(has(forged(0, ~std::uint64_t{0}), "episode 0 begins at"));
  CHECK(has(forged(8, std::uint64_t{3}), "its episodes have 3 steps in all, but its header says 2"));
  CHECK(has(forged(16, std::uint8_t{0}), "episode 0 has ending 0"));
  CHECK(has(forged(17, std::uint8_t{4}), "episode 1 has ending 4"));
  CHECK(has(forged(27, std::uint8_t{3}), "observation 3 is [3], outside discrete(3)"));
  CHECK(has(forged(33, std::uint8_t{2}), "action 1 is [2], outside discrete(2)"));
  CHECK(has(forged(40, std::numeric_limits<float>::quiet_NaN()), "reward 0 is nan"));
}

TEST_CASE("Shapes and element types that no box has are refused", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory history = picture_history(2, Box{std::vector<float>(6, 0), std::vector<float>(6, 255), {2, 3}});
  const auto forged = [&](std::size_t word, auto number) {
    Forgery forgery{history.view()};
    Forgery::put_into(forgery.description, 4 * word, number);
    return forgery.error(folder / "h");
  };
  // kind, n, bytes per number, dimensions, two sizes, 6 lower and 6 upper bounds
  REQUIRE(forged(0, std::uint32_t{4}).empty());

  CHECK(has(forged(0, std::uint32_t{5}), "kind of a space is 5, it must lie in 1 .. 4"));
  CHECK(has(forged(1, ~std::uint32_t{0}), "size of a space is 4294967295"));
  CHECK(has(forged(1, std::uint32_t{5}), "history 0 at byte offset 16"));
  for (const std::uint32_t bytes : {0u, 5u, 256u}) CHECK(has(forged(2, bytes), "bytes per number of a box is"));
  CHECK(has(forged(2, std::uint32_t{3}), "a number of a box takes 3 bytes, it must be 1, 2 or 4"));
  CHECK(has(forged(2, std::uint32_t{1}), "bytes follow the last column"));  // columns of f32 are too long for u8
  CHECK(has(forged(3, std::uint32_t{9}), "dimensions of a box is 9"));
  CHECK(has(forged(4, std::uint32_t{0}), "size of a box is 0, it must lie in 1 .. 65536"));
  CHECK(has(forged(4, std::uint32_t{65537}), "size of a box is 65537"));
  CHECK(has(forged(4, std::uint32_t{3}), "a box of shape 3 x 3 has 9 numbers, but bounds for 6"));
  CHECK(has(forged(6, 256.0f), "has no value between its bounds"));

  Forgery first_version{history.view()};
  first_version.version = 1;
  CHECK(has(first_version.error(folder / "h"), "kind of a space is 4, it must lie in 1 .. 3"));
  const LearningHistory pictures = picture_history();
  Forgery wide{pictures.view()};
  Forgery::put_into(wide.description, 4 * 13, 256.0f);  // an upper bound
  CHECK(has(wide.error(folder / "h"), "bounds of type u8 must be whole numbers in 0 .. 255"));
  Forgery narrow{pictures.view()};
  Forgery::put_into(narrow.description, 4 * 13, 249.0f);
  CHECK(has(narrow.error(folder / "h"), "number 0 is 250, outside 0 .. 249"));
}

TEST_CASE("An action that its mask forbids is refused", "[history]") {
  const TemporaryFolder folder;
  const LearningHistory history = telling_history(0, {1, 2}, {.has_action_mask = true});
  const auto forged = [&](std::size_t at, std::uint8_t allowed) {
    Forgery forgery{history.view()};
    forgery.put(at, allowed);
    return forgery.error(folder / "h");
  };
  // ends (2 x u64), endings (2), observations (5 x 3 x u16), actions (3), rewards (3 x f32), filled up; 3 x 7 masks
  const std::size_t masks = 16 + 8 + 32 + 8 + 16, taken = static_cast<std::size_t>(telling_action(1, 1));

  CHECK(forged(masks + 2 * 7 + taken, 9).empty());
  CHECK(forged(masks + 2 * 7 + taken + 1, 0).empty());
  CHECK(has(forged(masks + 2 * 7 + taken, 0),
            "history 0 at byte offset 16: the action of step 2, 4, is forbidden by its mask"));
}

TEST_CASE("A locale with decimal commas changes no byte and no error", "[history]") {
  struct Commas : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\1"; }
  };
  const TemporaryFolder folder;
  const auto histories = some_histories();
  write(folder / "before", histories);

  const std::locale old = std::locale::global(std::locale{std::locale::classic(), new Commas});
  write(folder / "after", histories);
  const std::string error = error_of([&] {
    LearningHistory history{{.observation_space = Box{{0}, {12345.5f}}, .action_space = Discrete{2}}};
    HistoryRecorder{history}.begin_episode(std::array{-1.5f});
  });
  std::locale::global(old);

  CHECK(read_bytes(folder / "after") == read_bytes(folder / "before"));
  CHECK(has(error, "[-1.5], outside box([0], [12345.5])"));
}

TEST_CASE("A history of ten thousand episodes survives", "[history]") {
  const TemporaryFolder folder;
  LearningHistory history{{.observation_space = Discrete{3}, .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  for (int e = 0; e < 10000; ++e) {
    recorder.begin_episode(std::array{0.0f});
    recorder.step(std::array{1.0f}, static_cast<float>(e), std::array{2.0f}, e % 2 == 0, true);
  }
  HistoryWriter{folder / "h"}.append(history.view());

  const HistoryFile file{folder / "h"};
  CHECK(same(file.history(0), history.view()));
}
