#!/bin/sh
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Compiles all headers with a stand-in for fmt that has only what its versions 9 to 12 agree on.
#   [CXX=c++] check_fmt.sh FLAGS...     the flags with which the other libraries are found
set -eu
here=$(cd "$(dirname "$0")" && pwd)
printf '#include <icrl/icrl.hpp>\n' |
  "${CXX:-c++}" -std=c++20 -fsyntax-only -I"$here/plain_fmt" -I"$here/../../include" "$@" -x c++ -
echo "the headers need nothing of fmt in which its versions differ"
