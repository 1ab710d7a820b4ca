// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/guard_pages.hpp"

#include <sys/wait.h>

#include <csignal>
#include <cstdint>

#include "support/catch.hpp"

using namespace icrl::test;

namespace {

/// Whether a process that runs `access` lives to its end.
template <typename Access>
bool survives(Access&& access) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGBUS, SIG_DFL);
    access();
    ::_exit(0);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  return status == 0;
}

}  // namespace

TEST_CASE("Beside a guarded array there is nothing to read or write", "[support]") {
  for (const std::size_t count : {1u, 3u, 1000u, 1024u, 5000u}) {
    const GuardedArray<float> behind{count}, before{count, Guard::before};
    CAPTURE(count);
    CHECK(reinterpret_cast<std::uintptr_t>(behind.data()) % alignof(float) == 0);
    for (const float value : behind) CHECK(value == 0);

    CHECK(survives([&] {
      volatile float* const numbers = behind.data();
      numbers[0] = numbers[count - 1];
    }));
    CHECK_FALSE(survives([&] {
      volatile float* const numbers = behind.data();
      numbers[count] = 1;
    }));
    CHECK_FALSE(survives([&] {
      volatile const char* const bytes = reinterpret_cast<const char*>(before.data());
      (void)bytes[-1];
    }));
  }
}
