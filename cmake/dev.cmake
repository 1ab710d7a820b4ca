# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# The warnings that the library promises to be free of, for tests, examples and benchmarks only.
set(icrl_warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow)
if(ICRL_WERROR)
  list(APPEND icrl_warnings -Werror)
endif()

# What takes long to parse and seldom changes, parsed once. Eigen is not among it: g++ 12 forgets the pragmas of a
# precompiled header, and then warns of what the intrinsics that Eigen includes do on purpose.
set(icrl_precompiled <algorithm> <cmath> <filesystem> <map> <memory> <string> <vector> <fmt/format.h>
  <nlohmann/json.hpp>)

add_library(icrl_dev INTERFACE)
target_link_libraries(icrl_dev INTERFACE icrl::icrl)
target_compile_options(icrl_dev INTERFACE ${icrl_warnings})
# g++ collects garbage as if memory were scarce, which takes a tenth of its time; a compiler may have two gigabytes here.
target_compile_options(icrl_dev INTERFACE $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=1500000>)
