// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include <icrl/io/json.hpp>

#include "support/program.hpp"

namespace example {

/// As write_summary, for examples that read JSON as well, and so have the library that can.
inline void write_json_summary(const std::filesystem::path& folder, const icrl::Json& summary) {
  write_text(folder / "summary.json", icrl::to_text(summary, "summary.json", 2) + "\n");
}

}  // namespace example
