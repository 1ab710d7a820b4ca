#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Runs the README's line that builds an example without CMake, then the example with --quick.
#   plain_line.sh REPOSITORY EMPTY_FOLDER
set -euo pipefail
repository=$(cd "$1" && pwd)
rm -rf "$2"
mkdir -p "$2"
cd "$2"
ln -s "$repository/include" "$repository/examples" .

line=$(sed -n 's/^ *\(g++ .*\)$/\1/p' "$repository/README.md" | head -n 1)
if [[ -z $line ]]; then
  echo "README.md: no line begins with g++"
  exit 1
fi
echo "$line"
bash -c "$line"
program=$(find . -maxdepth 1 -type f -executable)
"$program" --quick --out out
