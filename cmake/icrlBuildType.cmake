# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Warns a project that would be compiled without optimization because nobody said anything else.
if(NOT CMAKE_CONFIGURATION_TYPES AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CXX_FLAGS MATCHES "-O")
  message(WARNING "icrl: CMAKE_BUILD_TYPE is empty, so the compiler does not optimize, and training and acting are many "
    "times slower. Configure with -DCMAKE_BUILD_TYPE=Release, or with None to keep it so.")
endif()
