// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// Two translation units with every header in both: what is not inline shows itself when they are linked.
#include <icrl/icrl.hpp>

int version_of_second_unit();

int main() { return version_of_second_unit() == ICRL_VERSION ? 0 : 1; }
