#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Runs the example that writes a history, and reads that with the blocks of Python of a page. Without numpy it does nothing,
# says so, and ends with 77.
#   check_python.sh PAGE EMPTY_FOLDER PROGRAM
set -euo pipefail
page=$1 folder=$2 program=$3
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for python in python3 /usr/bin/python3 ''; do
  if [[ -z $python ]]; then
    echo "NOT DONE: there is no python3 with numpy (Debian: python3-numpy), so the Python of $page was not run" >&2
    exit 77
  fi
  ! "$python" -c 'import numpy' 2>/dev/null || break
done
rm -rf "$folder"
mkdir -p "$folder"
"$program" --quick --out "$folder/example" >/dev/null
"$scripts/page_program.sh" "$page" python >"$folder/blocks.py"
unset PYTHONOPTIMIZE # without assertions nothing would be checked
"$python" "$scripts/check_python.py" "$folder/blocks.py" "$folder/example"
