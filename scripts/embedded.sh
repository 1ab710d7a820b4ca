#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing (the cross-compiler takes 2.5 GB), then: models as headers (write_cpp) for microcontrollers without an
# operating system, run by qemu. Cortex-M7 has floating point of both precisions, Cortex-M4 of one, Cortex-M3 has none. An
# agent lives for 1000 steps on each; outputs and actions have to have the bits that they have here.
#   scripts/embedded.sh     takes two minutes of CPU time
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib \
  qemu-system-arm
out=$PWD/out/targets/embedded
steps=1000
rm -rf "$out"
mkdir -p "$out"
g++ -std=c++20 -O2 -pthread -Iinclude -Itests -isystem /usr/include/eigen3 tests/embedded/write_policies.cpp \
  -o "$out/write_policies" -lfmt
"$out/write_policies" "$out" "$steps"
read -ra warnings < <(sed -n 's/^set(icrl_warnings \(.*\))$/\1/p' cmake/dev.cmake)

# bytes OBJECT PATTERN: of the sections with such names.
bytes() { arm-none-eabi-size -A "$1" | awk -v pattern="$2" '$1 ~ pattern { sum += $2 } END { print sum + 0 }'; }

# live MACHINE POLICY COUNT: builds with "${cross[@]}" what lives with that header, and runs it. COUNT, if it is not empty,
# adds a line: million instructions.
live() {
  local machine=$1 policy=$2 count=$3
  "${cross[@]}" -Wall -Wextra -Werror ${count:+-DCOUNT_INSTRUCTIONS} -c tests/embedded/cortex_m.cpp -o "$out/cortex_m.o" &&
    "${cross[@]}" "${warnings[@]}" -Werror -Itests -DPOLICY="\"$policy.hpp\"" -DSTEPS=$steps tests/embedded/run_policy.cpp \
      "$out/cortex_m.o" -T tests/embedded/cortex_m.ld -nostartfiles --specs=nano.specs --specs=rdimon.specs \
      -Wl,--gc-sections -o "$policy.elf" &&
    timeout 600 qemu-system-arm -M "$machine" -icount shift=0 -nographic -semihosting -kernel "$policy.elf"
}

failed=0
# on NAME MACHINE FLAG...: all models on one CPU.
on() {
  local name=$1 machine=$2 level outcome expected text object=$out/alone.o
  local -a policies cross
  shift 2
  say "$name"
  for level in Os O2; do
    outcome=passed policies=("$out"/*.expected)
    cross=(arm-none-eabi-g++ -std=c++17 -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections "$@" "-$level")
    for expected in "${policies[@]}"; do
      if ! live "$machine" "${expected%.expected}" '' >"$out/found" || ! cmp "$expected" "$out/found"; then
        outcome=FAILED failed=1
      fi
    done
    # An agent alone, of a model of 090_compress's shape with weights of 4 bits.
    "${cross[@]}" -ffreestanding -DPOLICY="\"$out/key_to_door.hpp\"" -c tests/embedded/alone.cpp -o "$object"
    if (($(bytes "$object" '^.(data|init_array)') != 0)); then
      echo "the agent has to be initialized"
      outcome=FAILED failed=1
    fi
    text="${#policies[@]} models; of the shape of 090_compress: $(bytes "$object" '^.text') bytes of code,"
    text+=" $(bytes "$object" '^.rodata') of constants, $(bytes "$object" '^.bss') of RAM,"
    text+=" $(live "$machine" "$out/key_to_door" count | awk -v steps=$steps 'END { print $1 / steps }')"
    text+=" million instructions per step"
    record "embedded: models as headers, $name -$level" "$outcome" "$text"
    echo "$outcome: -$level, $text"
  done
}

on Cortex-M7 mps2-an500 -mthumb -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16
on Cortex-M4 mps2-an386 -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
on Cortex-M3 mps2-an385 -mthumb -mcpu=cortex-m3
cat "$out/key_to_door.expected"
exit "$failed"
