// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

#include "support/advice_log.hpp"

#include <algorithm>
#include <mutex>

#if defined(__GLIBC__)
#include <sys/mman.h>
#endif

namespace icrl::test {
namespace {

std::mutex mutex;
bool is_on = false;
std::vector<AdviceLog::Entry> given;

}  // namespace

AdviceLog::AdviceLog() {
  const std::lock_guard lock{mutex};
  is_on = true;
  given.clear();
}

AdviceLog::~AdviceLog() {
  const std::lock_guard lock{mutex};
  is_on = false;
}

std::vector<AdviceLog::Entry> AdviceLog::entries() const {
  const std::lock_guard lock{mutex};
  return given;
}

bool AdviceLog::covers(std::span<const std::byte> bytes, int advice) const {
  auto same = entries();
  std::erase_if(same, [&](const Entry& entry) { return entry.advice != advice; });
  std::ranges::sort(same, {}, [](const Entry& entry) { return entry.memory.data(); });
  const std::byte* covered = bytes.data();
  for (const Entry& entry : same)
    if (entry.memory.data() <= covered) covered = std::max(covered, entry.memory.data() + entry.memory.size());
  return covered >= bytes.data() + bytes.size();
}

}  // namespace icrl::test

#ifdef __GLIBC__

bool icrl::test::AdviceLog::is_available() { return true; }

extern "C" int posix_madvise(void* memory, std::size_t size, int advice) noexcept {
  {
    using namespace icrl::test;
    const std::lock_guard lock{mutex};
    if (is_on) given.push_back({{static_cast<const std::byte*>(memory), size}, advice});
  }
  return ::madvise(memory, size, advice);  // the numbers are the same
}

#else

bool icrl::test::AdviceLog::is_available() { return false; }

#endif
