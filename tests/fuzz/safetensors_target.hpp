// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include <icrl/io/safetensors.hpp>

#include "fuzz/target.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace icrl::fuzz {

/// The file of a frame: its header, a zero, its data. No header holds a zero, so a fuzzer may lengthen either part.
[[nodiscard]] inline Bytes from_frame(const Bytes& frame) {
  const auto end = std::find(frame.begin(), frame.end(), '\0');
  const auto header_size = static_cast<std::uint64_t>(end - frame.begin());
  Bytes file(8);
  put_at(file, 0, header_size);
  file.insert(file.end(), frame.begin(), end);
  if (end != frame.end()) file.insert(file.end(), end + 1, frame.end());
  return file;
}
[[nodiscard]] inline Bytes to_frame(const Bytes& file) {
  const auto data = static_cast<std::ptrdiff_t>(8 + number_at<std::uint64_t>(file, 0));
  Bytes frame{file.begin() + 8, file.begin() + data};
  frame.push_back('\0');
  frame.insert(frame.end(), file.begin() + data, file.end());
  return frame;
}

/// The file that an input stands for.
[[nodiscard]] inline Bytes safetensors_of(Choices& choices, const Bytes& input) {
  Bytes file = choices.once_in(8) ? input : from_frame(input);
  if (choices.once_in(16)) return file;
  return test::with_right_checksum(std::move(file));
}

/// A file of tensors, by icrl or another program.
struct SafetensorsTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) {
    static const test::TemporaryFolder folder;
    constexpr std::array types{"F32", "F64", "U8", "BF16", "F4", "I64"};
    const std::vector<std::byte> data(256);
    std::vector<TensorView> tensors;
    for (int i = rng.below(5); i > 0; --i) {
      TensorView tensor{.name = std::string(static_cast<std::size_t>(rng.below(3)), 'x') + std::to_string(i),
                        .dtype = types[static_cast<std::size_t>(rng.below(types.size()))],
                        .shape = {},
                        .bytes = {}};
      for (int n = rng.below(3); n > 0; --n) tensor.shape.push_back(2 * static_cast<std::uint64_t>(rng.below(3)));
      if (tensor.dtype == types[4] && tensor.shape.empty()) tensor.shape = {2};
      tensor.bytes = std::span{data}.first(byte_count(tensor.dtype, tensor.shape, "tensor"));
      tensors.push_back(std::move(tensor));
    }
    write_safetensors(folder / "made", tensors, {{"format", "pt"}, {"note", "\"\\\n"}});
    return to_frame(test::read_bytes(folder / "made"));
  }

  static void run(Choices choices, const Bytes& input) {
    static const test::TemporaryFolder folder;
    static MemoryFile memory;
    memory.write(safetensors_of(choices, input));
    const SafetensorsFile file{memory.path()};
    std::size_t size = 0;
    unsigned sum = 0;
    for (const TensorView& tensor : file.tensors()) {
      size += tensor.bytes.size();
      for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
      require(byte_count(tensor.dtype, tensor.shape, tensor.name) == tensor.bytes.size(), "a tensor fills its shape");
    }
    require(size <= input.size() && sum <= 255 * size, "tensors lie in the file");

    if (!choices.once_in(16)) return;
    write_safetensors(folder / "again", {file.tensors().begin(), file.tensors().end()}, file.metadata());
    const SafetensorsFile again{folder / "again"};
    require(again.tensors().size() == file.tensors().size() && again.metadata() == file.metadata(),
            "tensors come back as they were");
  }
};
static_assert(Target<SafetensorsTarget>);

}  // namespace icrl::fuzz
