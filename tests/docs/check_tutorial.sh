#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Runs the tutorial's program with --quick, and compares what it prints with the page: all words, in order, and as many
# numbers between them, but not the numbers, which are those of the long run. The page's pictures and files have to be
# written, too.
#   check_tutorial.sh PAGE EMPTY_FOLDER PROGRAM
set -euo pipefail
page=$1 folder=$2 program=$3
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

without_numbers() { sed -E 's/[0-9]+(\.[0-9]+)?/#/g; s/ +/ /g'; }

"$program" --quick >printed
"$scripts/page_program.sh" "$page" text | without_numbers >expected
without_numbers <printed | diff expected - >difference || {
  echo "the page ($page, <) shows other lines than the program prints (>):"
  cat difference
  exit 1
}
# The thermostat draws no random numbers: its row must have the page's returns.
returns() { sed -nE 's/^thermostat +([0-9. ]+)$/\1/p' | awk '{ print $1, $2, $3, $4 }'; }
[[ $(returns <printed) == $(returns <"$page") ]] || { echo "the thermostat earns $(returns <printed), not $(returns <"$page")"; exit 1; }

while read -r picture; do
  [[ -s $picture ]] || { echo "the page shows $picture, which the program does not write"; exit 1; }
done < <(sed -nE 's/^!\[.*\]\(results\/(.*)\)$/\1/p' "$page")
for file in heaters.icrl heater.safetensors office.memory; do
  [[ -s $file ]] || { echo "the program does not write $file"; exit 1; }
done
# 26 MB in the long run, 3 MB here.
rm heaters.icrl
