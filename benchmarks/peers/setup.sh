#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Installs what the benchmarks compare with, about 2 GB, into $PEERS (default ~/.cache/icrl/peers):
#   root/          Debian 13 with PyTorch 2.6, onnx and ONNX Runtime's quantizer, for systems whose own python3 has no
#                  PyTorch 2; needs root
#   node_modules/  ONNX Runtime for Node
# Safe to run again. Without it the benchmarks run all the same and leave the peers' columns empty.
set -euo pipefail
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/icrl/peers}
release=trixie

has_torch() { python3 -c 'import sys, onnx, torch; sys.exit(int(torch.__version__.split(".")[0]) < 2)' 2>/dev/null; }

need() {
  command -v "$1" >/dev/null || { echo "setup.sh: $1 is missing; install it with: apt-get install $2" >&2; exit 1; }
}

mirror() {
  local found
  found=$(awk '/^URIs:.*\/debian\/?$/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
  echo "${found:-http://deb.debian.org/debian}"
}

has_root() {
  [[ -e $peers/root/.complete ]] || { [[ -x $peers/root/usr/bin/python3 ]] && chroot "$peers/root" python3 -c 'import torch, onnx'; }
}

mkdir -p "$peers"
if has_torch; then
  echo "PyTorch: the system's own"
elif has_root && [[ -d $peers/root/usr/lib/python3/dist-packages/onnxruntime ]]; then
  echo "PyTorch: $peers/root"
else
  need debootstrap debootstrap
  [[ $EUID == 0 ]] || { echo "setup.sh: making a Debian root needs root; or install python3-torch and python3-onnx" >&2; exit 1; }
  has_root || debootstrap --variant=minbase --include=python3-torch,python3-numpy,python3-onnx,libopenblas0-pthread \
    "$release" "$peers/root" "$(mirror)"
  # Not by debootstrap, which does not see all that it needs.
  chroot "$peers/root" apt-get -qq update
  chroot "$peers/root" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-onnxruntime
  touch "$peers/root/.complete"
fi

need node nodejs
need npm npm
if [[ ! -d $peers/node_modules/onnxruntime-node ]]; then
  npm install --prefix "$peers" --ignore-scripts --no-audit --no-fund onnxruntime-node@1 >/dev/null
fi
echo "ONNX Runtime: $peers/node_modules"
