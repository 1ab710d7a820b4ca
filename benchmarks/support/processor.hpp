// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <fstream>
#include <string>

namespace icrl::bench {

/// What the processor calls itself, "unknown CPU" where the system does not say.
[[nodiscard]] inline std::string processor_name() {
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") && line.find(": ") != line.npos) return line.substr(line.find(": ") + 2);
  }
  return "unknown CPU";
}

}  // namespace icrl::bench
