// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// How a program begins on a Cortex-M without an operating system. It prints by semihosting. With -DCOUNT_INSTRUCTIONS
// it prints how many million instructions main takes, if qemu's clock goes on by a nanosecond per instruction
// (-icount shift=0).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

volatile std::uint32_t& at(std::uint32_t address) { return *reinterpret_cast<volatile std::uint32_t*>(address); }

/// The timer of the CPU, 25 MHz: counts down from its largest value, and calls `tick` at its end.
constexpr std::uint32_t timer_control = 0xE000E010, timer_reload = 0xE000E014, timer_value = 0xE000E018,
                        timer_largest = 0xFFFFFF;
volatile std::uint32_t timer_rounds = 0;
void tick() { timer_rounds = timer_rounds + 1; }

}  // namespace

extern "C" {
extern std::uint32_t stack_top, data_begin, data_end, data_source, bss_begin, bss_end;
void initialise_monitor_handles();
void __libc_init_array();
int main();

[[noreturn]] void start() {
#if defined(__ARM_FP)
  at(0xE000ED88) = at(0xE000ED88) | 0xFu << 20;  // CPACR: the floating-point unit is on
  asm volatile("dsb\n isb" ::: "memory");
#endif
  std::memcpy(&data_begin, &data_source,
              static_cast<std::size_t>(reinterpret_cast<char*>(&data_end) - reinterpret_cast<char*>(&data_begin)));
  std::memset(&bss_begin, 0,
              static_cast<std::size_t>(reinterpret_cast<char*>(&bss_end) - reinterpret_cast<char*>(&bss_begin)));
  initialise_monitor_handles();
  __libc_init_array();
  at(timer_reload) = timer_largest;
  at(timer_value) = 0;
  at(timer_control) = 7;
  const int status = main();
#if defined(COUNT_INSTRUCTIONS)
  const std::uint64_t ticks = std::uint64_t{timer_rounds} * (timer_largest + 1) + (timer_largest - at(timer_value));
  std::printf("%lu\n", static_cast<unsigned long>(ticks * 40 / 1000000));
#endif
  std::exit(status);
}

[[noreturn]] void stop() { std::abort(); }
void _init() {}
void _fini() {}
}

namespace {

using Handler = void (*)();
/// The stack, and what is called at a reset, at the faults and by the timer.
struct Vectors {
  std::uint32_t* stack;
  Handler reset, faults[13], timer;
};
[[gnu::section(".vectors"), gnu::used]] const Vectors vectors{
    &stack_top, start, {stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop}, tick};

}  // namespace
