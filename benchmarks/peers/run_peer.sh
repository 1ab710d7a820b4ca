#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Runs one peer script where its framework is, and hands on its lines of JSON:
#   run_peer.sh torch_train.py 64 4 4 80 128 --threads 2 --seconds 5
#   run_peer.sh torch_step.py 64 4 4 200          (also leaves $PEERS/onnx/step_64_4_4_200.onnx)
#   run_peer.sh ort_step.cjs 64 4 4 200 [--by-layer] [--int8]     (needs that file)
# Exit status 3: the framework, or the file it needs, is not there (see setup.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/icrl/peers}
script=$1
shift
# Spinning OpenMP threads are several times slower on a shared machine.
export OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1

# PyTorch hands its products of floats to OpenBLAS, whose own threads make training quicker in some shapes and slower in
# others: it is trained with and without them, and the quicker one counts.
if [[ $script == torch_train.py && -z ${ICRL_PEER_BLAS_THREADS-} ]]; then
  for threads in 1 "$(nproc)"; do ICRL_PEER_BLAS_THREADS=$threads "${BASH_SOURCE[0]}" "$script" "$@"; done |
    awk '{ value = $0; sub(/.*"value": /, "", value); if (value + 0 > best) { best = value + 0; line = $0 } }
         END { if (line == "") exit 3; print line }'
  exit
fi
OPENBLAS_NUM_THREADS=${ICRL_PEER_BLAS_THREADS-1}

run_in_root() {
  local root=$peers/root
  mkdir -p "$root/tmp/icrl" "$peers/onnx"
  cp "$here"/*.py "$root/tmp/icrl/"
  # shellcheck disable=SC2016  # the inner shell expands them
  unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$@"' "$root" \
    "$root" env ONNX_DIR=/tmp/icrl/onnx python3 "/tmp/icrl/$script" "$@"
  if compgen -G "$root/tmp/icrl/onnx/*.onnx" >/dev/null; then mv "$root"/tmp/icrl/onnx/*.onnx "$peers/onnx/"; fi
}

case $script in
  *.py)
    if [[ $EUID == 0 && -x $peers/root/usr/bin/python3 ]]; then
      run_in_root "$@"
    elif python3 -c 'import torch' 2>/dev/null; then
      ONNX_DIR=$peers/onnx python3 "$here/$script" "$@"
    else
      exit 3
    fi
    ;;
  *.cjs)
    command -v node >/dev/null && [[ -d $peers/node_modules/onnxruntime-node ]] || exit 3
    suffix=
    for option in "${@:5}"; do # in the order of the file's name
      case $option in --by-layer) suffix=_by_layer ;; --int8) suffix+=_int8 ;; esac
    done
    [[ -f $peers/onnx/step_$1_$2_$3_$4$suffix.onnx ]] || exit 3
    NODE_PATH=$peers/node_modules ONNX_DIR=$peers/onnx node "$here/$script" "$@"
    ;;
  *) echo "run_peer.sh: no way to run $script" >&2; exit 2 ;;
esac
