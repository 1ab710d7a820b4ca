// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

/// major * 10000 + minor * 100 + patch; the build reads the version from here.
#define ICRL_VERSION 100
