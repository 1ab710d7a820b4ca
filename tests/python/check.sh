#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Runs check_bridge.py and the example with a library made from bridge.cpp. Without Python it does nothing, says so, and
# ends with 77.
#   check.sh EXAMPLES LIBRARY FOLDER
set -euo pipefail
examples=$1 library=$2 folder=$3
if ! command -v python3 >/dev/null; then
  echo "NOT DONE: there is no python3, so tasks in Python were not tried" >&2
  exit 77
fi
rm -rf "$folder"
mkdir -p "$folder"
export PYTHONDONTWRITEBYTECODE=1
unset PYTHONOPTIMIZE # it leaves assertions out
python3 "$(dirname "${BASH_SOURCE[0]}")/check_bridge.py" "$examples" "$library" "$folder"
python3 "$examples/adapt.py" "$library" --quick --out "$folder/example"
