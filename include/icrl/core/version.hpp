// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <icrl/core/target.hpp>

/// major * 10000 + minor * 100 + patch. The build system reads the version from this file.
#define ICRL_VERSION 100

namespace icrl {

/// ICRL_VERSION as text: "major.minor.patch".
inline constexpr std::string_view version_string = "0.1.0";

}  // namespace icrl
