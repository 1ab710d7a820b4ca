#!/bin/sh
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Holds the headers to the design's table of modules and to what every file must look like.
#   [CXX=c++] check_layers.sh [repository]     prints one line for each fault; fails when there is one
set -eu
cd "${1:-$(dirname "$0")/../..}"

# shellcheck disable=SC2016  # awk's own dollars
find include/icrl -name '*.hpp' | sort | xargs awk '
  function fault(text) { print FILENAME ":" FNR ": " text; ++faults }

  function finish_file() {
    if (file == "") return
    if (!has_pragma) print file ": has no #pragma once"
    if (lines > 300) print file ": has " lines " lines, a header is to stay within 300"
    if (!has_pragma || lines > 300) ++faults
  }

  # Modules of the same level never include each other.
  BEGIN {
    split("core 0 math 1 env 1 history 2 nn 2 learner 3 model 3 io 4 agent 4 train 5 eval 5 compress 6 compiled 6 mpi 6", table, " ")
    for (i = 1; i in table; i += 2) level[table[i]] = table[i + 1]
    may["math"] = may["env"] = " core "
    may["history"] = " core env "
    may["nn"] = " core math "
  }

  FNR == 1 {
    finish_file()
    file = FILENAME
    has_pragma = 0
    is_umbrella = file == "include/icrl/icrl.hpp"
    split(file, parts, "/")
    module = is_umbrella ? "umbrella" : parts[3]
    if (!is_umbrella && !(module in level)) fault("module " module " is not in the table of modules")
    if ($0 != "// SPDX-FileCopyrightText: The icrl authors") fault("line 1 is not the copyright line")
  }
  FNR == 2 && $0 != "// SPDX-License-Identifier: MIT" { fault("line 2 is not the license line") }
  { lines = FNR }
  /^#pragma once$/ { has_pragma = 1 }
  /^[ \t]*#[ \t]*include/ {
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
    if (target !~ /^</) { fault("includes " target ": write it as <icrl/module/file.hpp>"); next }
    gsub(/^<|>.*$/, "", target)
    if (target ~ /^(Eigen|unsupported)\//) {
      if (file != "include/icrl/math/matrix.hpp") fault("only math/matrix.hpp includes Eigen")
    } else if (target ~ /^nlohmann\//) {
      if (file != "include/icrl/io/json.hpp") fault("only io/json.hpp includes nlohmann")
    } else if (target ~ /^icrl\//) {
      includes[file] = includes[file] " include/" target
      if (is_umbrella) { held[target] = 1; next }
      split(target, parts, "/")
      other = parts[2]
      if (target !~ /^icrl\/[a-z]+\/[a-z0-9_]+\.hpp$/) fault("includes <" target ">: name a header of a module")
      else if (!(other in level)) fault("includes <" target ">: there is no module " other)
      else if (other != module && level[other] >= level[module])
        fault("module " module " (level " level[module] ") includes <" target "> (level " level[other] ")")
      else if (other != module && module in may && index(may[module], " " other " ") == 0)
        fault("module " module " may include" may[module] "only, not <" target ">")
    }
  }

  # What refuses a build that would go wrong must stand before all that it would build.
  function reaches_target(header,    count, others, i) {
    if (header == "include/icrl/core/target.hpp") return 1
    if (header in reaches) return reaches[header]
    reaches[header] = 0
    count = split(includes[header], others, " ")
    for (i = 1; i <= count && !reaches[header]; ++i) reaches[header] = reaches_target(others[i])
    return reaches[header]
  }

  END {
    finish_file()
    for (i = 1; i < ARGC; ++i) {
      if (reaches_target(ARGV[i])) continue
      print ARGV[i] ": does not reach core/target.hpp"
      ++faults
    }
    for (i = 1; i < ARGC; ++i) {
      target = ARGV[i]
      sub(/^include\//, "", target)
      if (length(held) && target != "icrl/icrl.hpp" && target !~ /^icrl\/(mpi|compiled)\// && !(target in held)) {
        print "include/icrl/icrl.hpp: does not include <" target ">"
        ++faults
      }
    }
    if (faults) { print faults " faults in the layers"; exit 1 }
    print ARGC - 1 " headers keep the layers"
  }
'

for header in learner run q_learning; do
  header=include/icrl/learner/$header.hpp
  [ -f "$header" ] || { echo "$header: is not there"; exit 1; }
  if ! dependencies=$("${CXX:-c++}" -std=c++20 -Iinclude -I/usr/include/eigen3 -M "$header"); then
    echo "$header: what it includes is not found here, so whether it reaches Eigen was not checked"
    continue
  fi
  if echo "$dependencies" | grep -q /Eigen/; then
    echo "$header: reaches Eigen, which it is to stay free of"
    exit 1
  fi
done

find include tests examples benchmarks -name '*.[ch]pp' | while read -r file; do
  if [ "$(sed -n '1,2s|^// SPDX-||p' "$file" | wc -l)" != 2 ]; then
    echo "$file: does not begin with the two SPDX lines"
    exit 1
  fi
done
