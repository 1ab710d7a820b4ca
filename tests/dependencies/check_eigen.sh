#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Configures the library, and a project that finds it installed, with packages that look like Eigen 3.3, 3.4 and 5: the
# first on the search path that is 3.4 or newer has to be taken. Nothing is fetched.
#   check_eigen.sh REPOSITORY EMPTY_FOLDER FOLDER_OF_EIGENS_HEADERS
set -euo pipefail
repository=$(cd "$1" && pwd)
headers=$3
rm -rf "$2"
mkdir -p "$2"
work=$(cd "$2" && pwd)
stand_in=$repository/tests/dependencies/eigen

for version in 3.3.9 3.4.1 5.0.0; do
  cmake -S "$stand_in" -B "$work/build_$version" -DEIGEN_VERSION="$version" -DEIGEN_HEADERS="$headers" >"$work/log"
  cmake --install "$work/build_$version" --prefix "$work/$version" >"$work/log"
done

# Configures $1 with the remaining arguments; Eigen has to come from the prefix $2.
takes() {
  local source=$1 wanted=$2
  shift 2
  rm -rf "$work/build"
  if ! cmake -S "$source" -B "$work/build" -DFETCHCONTENT_FULLY_DISCONNECTED=ON "$@" >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
  fi
  if ! grep -q "^Eigen3_DIR:PATH=$work/$wanted/" "$work/build/CMakeCache.txt"; then
    echo "$source: wanted Eigen of $wanted, but it took $(grep ^Eigen3_DIR: "$work/build/CMakeCache.txt")"
    exit 1
  fi
}

library=(-DICRL_BUILD_TESTS=OFF -DICRL_BUILD_EXAMPLES=OFF -DICRL_BUILD_BENCHMARKS=OFF)
takes "$repository" 5.0.0 "${library[@]}" -DCMAKE_PREFIX_PATH="$work/5.0.0"
takes "$repository" 3.4.1 "${library[@]}" -DCMAKE_PREFIX_PATH="$work/3.4.1;$work/5.0.0"
takes "$repository" 5.0.0 "${library[@]}" -DCMAKE_PREFIX_PATH="$work/3.3.9;$work/5.0.0;$work/3.4.1"

cmake --install "$work/build" --prefix "$work/icrl" >"$work/log"
user=$repository/tests/package/find_package
takes "$user" 5.0.0 -DCMAKE_PREFIX_PATH="$work/icrl;$work/5.0.0"
takes "$user" 3.4.1 -DCMAKE_PREFIX_PATH="$work/icrl;$work/3.3.9;$work/3.4.1;$work/5.0.0"
echo "versions 3.4 and 5 are chosen, and 3.3 is passed over"
