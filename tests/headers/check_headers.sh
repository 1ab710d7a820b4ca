#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Compiles each header alone, but those that take MPI (scripts/mpi.sh does): a user may include any of them first. A library that a header reaches is parsed once for all
# headers that reach it, which hides nothing but an order of includes.
#   check_headers.sh ROOT FOLDER COMPILER [FLAG...]     works in FOLDER; fails where the compiler says anything
set -euo pipefail
root=$1 folder=$2
shift 2
command=("$@" -std=c++20 -pthread "-I$root/include")

# Each header, and the libraries that it reaches by any way: letters of fmt, Eigen and JSON.
headers_and_libraries() {
  cd "$root/include"
  # shellcheck disable=SC2016  # awk's own dollars
  find icrl -name '*.hpp' ! -path 'icrl/mpi/*' | sort | xargs awk '
    FNR == 1 { order[++count] = FILENAME }
    $1 == "#include" {
      name = substr($2, 2, length($2) - 2)
      if (name ~ /^icrl\//) included[FILENAME] = included[FILENAME] " " name
      if (name ~ /^(fmt|Eigen|nlohmann)\//) own[FILENAME] = own[FILENAME] substr(name, 1, 1)
    }
    function visit(file,    names, i, n) {
      if (file in seen) return
      seen[file] = 1
      reached = reached own[file]
      n = split(included[file], names, " ")
      for (i = 1; i <= n; ++i) visit(names[i])
    }
    END {
      for (i = 1; i <= count; ++i) {
        split("", seen)
        reached = ""
        visit(order[i])
        libraries = "std"
        if (reached ~ /f/) libraries = libraries "f"
        if (reached ~ /E/) libraries = libraries "E"
        if (reached ~ /n/) libraries = libraries "n"
        print libraries, order[i]
      }
    }'
}

parse() { # LIBRARIES
  local header="$folder/$1.hpp"
  {
    [[ $1 != *f* ]] || echo '#include <fmt/format.h>'
    [[ $1 != *E* ]] || echo '#include <Eigen/Core>'
    [[ $1 != *n* ]] || echo '#include <nlohmann/json.hpp>'
  } >"$header"
  "${command[@]}" -x c++-header "$header" -o "$header.gch"
}

check() { # LIBRARIES HEADER
  local parsed=(-include "$folder/$1.hpp")
  [[ $is_clang == no ]] || parsed=(-include-pch "$folder/$1.hpp.gch")
  echo "#include <$2>" | "${command[@]}" "${parsed[@]}" -fsyntax-only -x c++ - || echo "$2 does not compile alone"
}

is_clang=no
[[ $("$1" --version) != *clang* ]] || is_clang=yes
mkdir -p "$folder"
headers_and_libraries >"$folder/headers"

# As many at a time as there are processors.
each() { # FUNCTION: with the words of each line
  local words
  while read -ra words; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
    "$1" "${words[@]}" &
  done
  wait
}
cut -d' ' -f1 "$folder/headers" | sort -u | each parse >"$folder/log" 2>&1
each check <"$folder/headers" >>"$folder/log" 2>&1
cat "$folder/log"
echo "$(wc -l <"$folder/headers") headers"
[[ -s $folder/headers && ! -s $folder/log ]]
