#!/bin/sh
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Checks that the targets of cover.txt hold each pair of values that the file promises.
#   check_cover.sh [cover.txt]     prints one line per fault; fails when there is one
set -eu
# shellcheck disable=SC2016  # awk's own dollars
awk '
  function fault(text) { print FILENAME ": " text; ++faults }
  $1 == "dimension" { name[++dimensions] = $2; for (i = 3; i <= NF; ++i) values[dimensions, i - 2] = $i; size[dimensions] = NF - 2 }
  $1 == "target" {
    ++targets
    if (NF - 1 != dimensions) { fault("line " FNR " names " NF - 1 " values, there are " dimensions " dimensions"); next }
    for (d = 1; d <= dimensions; ++d) {
      known = 0
      for (i = 1; i <= size[d]; ++i) known += values[d, i] == $(d + 1)
      if (!known) fault("line " FNR ": " $(d + 1) " is no value of " name[d])
      for (e = d + 1; e <= dimensions; ++e) {
        if (!((d, $(d + 1), e, $(e + 1)) in met)) ++pairs[d, e]
        met[d, $(d + 1), e, $(e + 1)] = 1
      }
    }
  }
  END {
    for (d = 1; d <= dimensions; ++d)
      for (e = d + 1; e <= dimensions; ++e) {
        if (name[d] == "march" && name[e] == "mtune") {
          if (pairs[d, e] != 35) fault(pairs[d, e] + 0 " pairs of march and mtune meet, the file promises 35")
          continue
        }
        for (i = 1; i <= size[d]; ++i)
          for (j = 1; j <= size[e]; ++j)
            if (!((d, values[d, i], e, values[e, j]) in met)) fault(values[d, i] " and " values[e, j] " do not meet")
      }
    if (targets == 0) fault("there is no target")
    if (faults) exit 1
    print targets " targets hold every pair of values"
  }
' "${1:-$(dirname "$0")/cover.txt}"
