#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Prints the blocks of a page that are marked with a language, one after another.
#   page_program.sh PAGE LANGUAGE     e.g. page_program.sh docs/tutorial.md cpp
set -euo pipefail
awk -v fence="\`\`\`$2" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$1"
