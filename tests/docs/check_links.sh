#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Follows every link of the pages to files and headings of this repository.
#   check_links.sh ROOT     prints the links that lead nowhere, and fails if there are any
set -euo pipefail
cd "$1"
shopt -s nullglob

# The anchors of a page's headings, as GitHub makes them.
anchors() {
  awk '/^```/ { inside = !inside } !inside && /^#+ /' "$1" | sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g' |
    tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

declare -A headings
for page in *.md docs/*.md docs/results/*.md benchmarks/*.md; do
  headings[$(realpath "$page")]=$'\n'$(anchors "$page")$'\n'
done

failed=0
for page in *.md docs/*.md docs/results/*.md benchmarks/*.md; do
  folder=$(dirname "$page")
  while read -r link; do
    target=${link%%#*}
    file=$page
    [[ -z $target ]] || file=$folder/$target
    if [[ ! -e $file ]]; then
      echo "$page: there is no $target"
      failed=1
    elif [[ $link == *'#'* && $file == *.md && ${headings[$(realpath "$file")]} != *$'\n'"${link#*#}"$'\n'* ]]; then
      echo "$page: $file has no heading #${link#*#}"
      failed=1
    fi
  done < <(awk '/^```/ { inside = !inside } !inside' "$page" | grep -oE '\]\([^)]+\)' | sed -E 's/^\]\((.*)\)$/\1/' |
    grep -vE '^(https?|mailto):' || true)
done
exit "$failed"
