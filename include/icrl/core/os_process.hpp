// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#if defined(_WIN32)
extern "C" __declspec(dllimport) unsigned long __stdcall GetCurrentProcessId();  // as windows.h declares it
#else
#include <unistd.h>
#endif

#include <icrl/core/target.hpp>

namespace icrl::os {

/// The number of this process, which a forked one does not share.
[[nodiscard]] inline std::int64_t process_id() {
#if defined(_WIN32)
  return static_cast<std::int64_t>(GetCurrentProcessId());
#else
  return ::getpid();
#endif
}

}  // namespace icrl::os
