// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Training from a history file that is larger than memory: milliseconds of a training step whose windows come from a
// mapped file, and of one whose windows come from histories in memory, in turns. Before each turn the large file is
// thrown out of memory, so that it has to come from the disk also where it would fit.
//
//   large_file_benchmark WIDTH LAYERS HEADS CONTEXT BATCH [--threads 2] [--gigabytes 10] [--folder FOLDER]
//                        [--turns 5] [--steps 20]
//
// The file is removed at the end. Exit status 3: there is less free disk than the file takes and 2 GB more.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <icrl/core/file.hpp>
#include <icrl/history/history_file.hpp>

#include "support/measurement.hpp"
#include "support/program.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;

namespace {

constexpr double gigabyte = 1e9;

/// A file that is removed when the object goes; what a killed run has left of it is removed at the start.
class LargeFile {
public:
  explicit LargeFile(const std::filesystem::path& folder) : path_{folder / "icrl_large_file_benchmark.histories"} {
    std::filesystem::remove(path_);
  }
  ~LargeFile() { std::filesystem::remove(path_); }
  LargeFile(const LargeFile&) = delete;
  LargeFile& operator=(const LargeFile&) = delete;

  /// Appends histories until it holds so many bytes.
  void fill(double least_bytes) {
    const auto histories = bench::record_histories(5000);
    HistoryWriter writer{path_};
    for (std::size_t i = 0; i == 0 || bytes() < least_bytes; ++i) writer.append(histories[i % histories.size()].view());
    writer.sync();
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] double bytes() const { return static_cast<double>(std::filesystem::file_size(path_)); }

private:
  std::filesystem::path path_;
};

/// The memory pages that the columns of a history lie in: its episode ends come first, its rewards last. Not const,
/// since madvise takes such pages only; nothing is written.
std::span<std::byte> pages_of(const HistoryView& history) {
  const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const HistoryColumns& columns = history.columns();
  const auto* const first = reinterpret_cast<const std::byte*>(columns.episode_ends);
  const auto* const end = reinterpret_cast<const std::byte*>(columns.rewards + history.step_count());
  const std::size_t before = reinterpret_cast<std::uintptr_t>(first) % page_size;  // on the first page
  const std::size_t size = before + static_cast<std::size_t>(end - first);
  return {const_cast<std::byte*>(first) - before, (size + page_size - 1) / page_size * page_size};
}

/// The part of a mapped file that histories lie in. Asking a history for its size would read it, so pages are looked up
/// once.
class MappedPages {
public:
  MappedPages(const std::vector<HistoryView>& histories, std::filesystem::path path) : path_{std::move(path)} {
    for (const HistoryView& history : histories) runs_.push_back(pages_of(history));
  }

  /// Throws the file out of this process's tables, without which the system would not let go of it, and out of memory.
  void evict() const {
    for (const auto run : runs_)
      if (::madvise(run.data(), run.size(), MADV_DONTNEED) != 0) detail::fail_with_reason("cannot unmap", path_);
    const detail::FileDescriptor file{path_, os::OpenMode::read, "cannot open"};
    if (const int error = ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED); error != 0)
      fail("cannot evict \"{}\": error {}", path_.string(), error);
  }

  /// Share of the pages that are in memory.
  [[nodiscard]] double resident_share() const {
    const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::size_t resident = 0, total = 0;
    std::vector<unsigned char> flags;
    for (const auto run : runs_) {
      flags.resize(run.size() / page_size);
      if (::mincore(run.data(), run.size(), flags.data()) != 0) detail::fail_with_reason("cannot look at", path_);
      for (const unsigned char flag : flags) resident += flag & 1u;
      total += flags.size();
    }
    return static_cast<double>(resident) / static_cast<double>(total);
  }

private:
  std::filesystem::path path_;
  std::vector<std::span<std::byte>> runs_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Shape shape;
  int batch = 128, threads = 2, turns = 5, steps = 20;
  double gigabytes = 10;
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  CLI::App app{"Measures training from a history file that does not fit into memory"};
  bench::add_options(app, shape);
  app.add_option("batch", batch, "sequences an update")->required()->check(bench::counts);
  app.add_option("--threads", threads)->check(bench::counts);
  app.add_option("--gigabytes", gigabytes, "size of the file")->check(CLI::Range(0.1, 1e4));
  app.add_option("--folder", folder, "where the file is written")->check(CLI::ExistingDirectory);
  app.add_option("--turns", turns, "evictions of the file")->check(bench::counts);
  app.add_option("--steps", steps, "training steps a turn")->check(bench::counts);

  int status = 0;
  const int failed = bench::run_program(app, argc, argv, [&] {
    const double free_bytes = static_cast<double>(std::filesystem::space(folder).available);
    if (free_bytes < (gigabytes + 2) * gigabyte) {
      fmt::print(stderr, "large_file_benchmark: left out, {} has {:.1f} GB of free disk, a file of {} GB wants {}\n",
                 folder.string(), free_bytes / gigabyte, gigabytes, gigabytes + 2);
      status = 3;
      return;
    }
    LargeFile large{folder};
    large.fill(gigabytes * gigabyte);
    const HistoryFile file{large.path()};
    const auto mapped = file.histories();
    const MappedPages pages{mapped, large.path()};
    const auto histories = bench::record_histories(bench::episodes_for(shape.context));
    bench::Training from_file{shape, mapped, batch, threads};
    bench::Training from_memory{shape, bench::views_of(histories), batch, threads};
    std::vector<double> file_times, memory_times, before, after;
    for (int i = 0; i < 3; ++i) {
      from_file.trainer.step();
      from_memory.trainer.step();
    }
    for (int turn = 0; turn < turns; ++turn) {
      pages.evict();
      before.push_back(pages.resident_share());
      for (int i = 0; i < steps; ++i) file_times.push_back(1e3 * bench::seconds_of([&] { from_file.trainer.step(); }));
      for (int i = 0; i < steps; ++i)
        memory_times.push_back(1e3 * bench::seconds_of([&] { from_memory.trainer.step(); }));
      after.push_back(pages.resident_share());
    }
    const std::string name = fmt::format("extra_large_file_train_{}_B{}", shape.text(), batch);
    bench::print({.name = name,
                  .value = bench::quantile(file_times, 0.5),
                  .unit = "ms",
                  .details = {{"p99", bench::quantile(file_times, 0.99)},
                              {"gigabytes", large.bytes() / gigabyte},
                              {"resident_before_turn", bench::quantile(before, 0.5)},
                              {"resident_after_turn", bench::quantile(after, 0.5)}}});
    bench::print({.name = name, .value = bench::quantile(memory_times, 0.5), .unit = "ms", .who = "icrl from memory"});
  });
  return failed != 0 ? failed : status;
}
