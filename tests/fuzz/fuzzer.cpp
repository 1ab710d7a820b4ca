// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// One program per target, which ICRL_FUZZ_TARGET and ICRL_FUZZ_HEADER name. The folder that libFuzzer is given for its
// inputs gets some that the library itself makes.

#include <algorithm>
#include <fstream>

#include ICRL_FUZZ_HEADER

namespace {

using Target = icrl::fuzz::ICRL_FUZZ_TARGET;

void write_seeds(const std::filesystem::path& folder) {
  constexpr int seed_count = 64;
  for (int i = 0; i < seed_count; ++i) {
    icrl::Rng rng{static_cast<std::uint64_t>(i)};
    const icrl::fuzz::Bytes input = icrl::fuzz::make_input<Target>(rng);
    std::ofstream file{folder / ("seed_" + std::to_string(i)), std::ios::binary};
    file.write(input.data(), static_cast<std::streamsize>(input.size()));
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// Memory for sizes that a file only claims is a find. A small quarantine leaves the caches to the target, and who
/// allocated what is not noted, which took a third of the time: with ASAN_OPTIONS=malloc_context_size=30 a find's
/// report says it.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=4:max_allocation_size_mb=256:detect_stack_use_after_return=0:malloc_context_size=0";
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::filesystem::path folder{(*argv)[i]};
    if (!std::filesystem::is_directory(folder)) continue;
    write_seeds(folder);
    break;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)icrl::fuzz::run_input<Target>({reinterpret_cast<const char*>(data), size});
  return 0;
}

/// Now and then a new file, which chance alone would not put together.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  icrl::Rng rng{seed};
  if (rng.below(64) == 0) {
    const icrl::fuzz::Bytes input = icrl::fuzz::make_input<Target>(rng);
    if (input.size() <= max_size) {
      std::copy(input.begin(), input.end(), reinterpret_cast<char*>(data));
      return input.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
