#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs Open MPI where it is missing, then collects and trains on 1, 2 and 4 ranks of this machine: the weights have to
# be the same, byte for byte. A rank that dies has to end the run, and its checkpoint to resume to the same weights.
#   scripts/mpi.sh
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libopenmpi-dev openmpi-bin
out=$root/out/mpi
cmake -S . -B build/mpi -DCMAKE_BUILD_TYPE=Release -DICRL_MPI=ON -DICRL_BUILD_TESTS=OFF -DICRL_BUILD_EXAMPLES=OFF \
  -DICRL_BUILD_BENCHMARKS=OFF >/dev/null
cmake --build build/mpi --target train_on_ranks -j"$(job_count)"

# train RANKS FOLDER [UPDATE]
train() {
  local ranks=$1
  shift
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    timeout 300 mpirun --oversubscribe -n "$ranks" build/mpi/tests/mpi/train_on_ranks "$@"
}

rm -rf "$out"
for ranks in 1 2 4; do
  say "$ranks ranks"
  train "$ranks" "$out/$ranks"
  sha256sum <"$out/$ranks/weights.safetensors"
  cmp "$out/1/weights.safetensors" "$out/$ranks/weights.safetensors"
done
say "a rank dies after 12 of 20 updates"
if train 2 "$out/dies" 12; then
  echo "the run ended as if nothing had happened"
  exit 1
fi
[[ -s $out/dies/checkpoint && ! -e $out/dies/weights.safetensors ]]
train 2 "$out/dies"
cmp "$out/1/weights.safetensors" "$out/dies/weights.safetensors"
echo "the same weights at 1, 2 and 4 ranks, and after a rank's death"
