# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# The warnings that the library promises to be free of, for tests, examples and benchmarks only.
add_library(icrl_dev INTERFACE)
target_link_libraries(icrl_dev INTERFACE icrl::icrl)
target_compile_options(icrl_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
  $<$<BOOL:${ICRL_WERROR}>:-Werror>)
