// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/read_ahead.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <icrl/core/file.hpp>

#include "support/advice_log.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

/// A mapped file of so many pages.
struct Pages {
  TemporaryFolder folder;
  MappedFile file;

  explicit Pages(std::size_t count)
      : file{(write_bytes(folder / "pages", std::vector<char>(count * page)), folder / "pages")} {}
  [[nodiscard]] std::span<const std::byte> part(std::size_t begin, std::size_t size) const {
    return file.bytes().subspan(begin, size);
  }
};

}  // namespace

TEST_CASE("The pages of what is added are asked for when it is flushed", "[core]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const Pages pages{8};
  const AdviceLog advice;
  ReadAhead ahead;

  ahead.add(pages.part(page + 100, page));
  CHECK(advice.entries().empty());
  ahead.flush();

  REQUIRE(advice.entries().size() == 1);
  CHECK(advice.entries()[0].advice == POSIX_MADV_WILLNEED);
  CHECK(advice.entries()[0].memory.data() == pages.part(page, 0).data());
  CHECK(advice.entries()[0].memory.size() == page + 100);
  ahead.flush();
  CHECK(advice.entries().size() == 1);
}

TEST_CASE("Parts that lie close together are asked for at once, others alone", "[core]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const Pages pages{400};
  const AdviceLog advice;

  {
    ReadAhead ahead;
    ahead.add(pages.part(10, 20));
    ahead.add(pages.part(40, 1000));
    ahead.add(pages.part(30, 5));  // within what is asked for already
    ahead.add(pages.part(1040 + 16 * 1024, 1));
    ahead.add(pages.part(20 * page, 0));
    ahead.add(pages.part(12 * page, 1));
    ahead.add(pages.part(9 * page, 1));
  }

  REQUIRE(advice.entries().size() == 3);
  CHECK(advice.covers(pages.part(0, 1041 + 16 * 1024), POSIX_MADV_WILLNEED));
  CHECK(advice.covers(pages.part(12 * page, 1), POSIX_MADV_WILLNEED));
  CHECK(advice.covers(pages.part(9 * page, 1), POSIX_MADV_WILLNEED));
  CHECK_FALSE(advice.covers(pages.part(20 * page, 1), POSIX_MADV_WILLNEED));
}

TEST_CASE("A large part is asked for in pieces that cover it and no more", "[core]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const Pages pages{400};
  const AdviceLog advice;

  ReadAhead{}.add(pages.part(page / 2, 300 * page));

  std::size_t size = 0;
  for (const auto& entry : advice.entries()) {
    CHECK(entry.memory.size() <= 128 * 1024);
    size += entry.memory.size();
  }
  CHECK(size == 300 * page + page / 2);
  CHECK(advice.covers(pages.part(page / 2, 300 * page), POSIX_MADV_WILLNEED));
}

TEST_CASE("Nothing added is nothing asked for", "[core]") {
  const AdviceLog advice;

  {
    ReadAhead ahead;
    ahead.add({});
    ahead.flush();
  }

  CHECK(advice.entries().empty());
}

TEST_CASE("Advice that is refused is no error", "[core]") {
  ReadAhead ahead;

  ahead.add({reinterpret_cast<const std::byte*>(page), page});  // nothing is mapped there

  CHECK_NOTHROW(ahead.flush());
}

TEST_CASE("Only a file that is read at random is advised to be", "[core]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const TemporaryFolder folder;
  write_bytes(folder / "f", std::vector<char>(3 * page));
  write_bytes(folder / "empty", {});
  const AdviceLog advice;

  const MappedFile ascending{folder / "f"};
  const MappedFile empty{folder / "empty", ReadOrder::random};
  CHECK(advice.entries().empty());
  const MappedFile random{folder / "f", ReadOrder::random};

  REQUIRE(advice.entries().size() == 1);
  CHECK(advice.covers(random.bytes(), POSIX_MADV_RANDOM));
}
