// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/icrl.hpp>

int version_of_second_unit();

int version_of_second_unit() { return ICRL_VERSION; }
