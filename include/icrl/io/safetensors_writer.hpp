// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/file.hpp>
#include <icrl/core/tensor_view.hpp>
#include <icrl/io/json_limits.hpp>
#include <icrl/io/json_text.hpp>

// A safetensors file (https://github.com/huggingface/safetensors), little-endian:
//   1. bytes 0 .. 7: u64 N, the size of the header; at most 100 MB
//   2. bytes 8 .. 8 + N - 1: the header, a JSON object that begins with '{' and may be followed by spaces. It has
//      - one entry per tensor, by name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}; the
//        offsets are bytes from the end of the header, numbers are stored row by row
//      - optionally "__metadata__": an object of texts
//   3. the data, up to the end of the file. Tensors leave no gap and do not overlap; they may begin at any byte.
// In files written here, the header is padded with spaces so that the data begins at a multiple of 8, and there is one
// more property:
//   4. "__metadata__" has the key "icrl.checksum", 8 lower-case hexadecimal digits: the CRC-32C of the whole file with
//      zeros ('0') in place of these digits. It detects damage anywhere, including the header. If the key itself is
//      damaged, the file has no checksum, and readers of model files refuse it.
namespace icrl {

/// Texts in the header of a safetensors file, by key.
using Metadata = std::map<std::string, std::string>;

namespace detail {

struct SafetensorsFormat {
  static constexpr std::uint64_t largest_header = 100'000'000;
  static constexpr std::string_view metadata_key = "__metadata__";
  static constexpr std::string_view checksum_key = "icrl.checksum";
  static constexpr std::string_view no_checksum = "00000000";

  /// The text before the digits of the checksum. It cannot occur anywhere else in a header, because quotes inside a
  /// text are escaped.
  [[nodiscard]] static std::string checksum_prefix() { return fmt::format("\"{}\":\"", checksum_key); }

  /// The checksum of a file whose digits begin at byte `place`.
  [[nodiscard]] static std::string checksum(std::span<const std::byte> file, std::size_t place) {
    std::uint32_t crc = crc32c(file.first(place));
    crc = crc32c(std::as_bytes(std::span{no_checksum}), crc);
    return digits(crc32c(file.subspan(place + no_checksum.size()), crc));
  }
  [[nodiscard]] static std::string digits(std::uint32_t crc) { return fmt::format("{:08x}", crc); }
};

/// The padded header for tensors in this order, with zeros for the checksum.
[[nodiscard]] inline std::string safetensors_header(std::span<const TensorView* const> tensors,
                                                    const Metadata& metadata, const std::string& what) {
  using Format = SafetensorsFormat;
  JsonFields entries;
  std::size_t end = 0, value_count = 2;  // the header object and the metadata object
  for (const TensorView* const next : tensors) {
    const TensorView& tensor = *next;
    value_count += 6 + tensor.shape.size();  // an object with a text, a shape and two offsets
    const std::string place = fmt::format("{}: tensor \"{}\"", what, tensor.name);
    if (tensor.name == Format::metadata_key || entries.contains(tensor.name))
      fail("{}: the name is already in use", place);
    const std::uint64_t wanted = byte_count(tensor.dtype, tensor.shape, place);
    if (wanted != tensor.bytes.size()) {
      fail("{}: has {} bytes, but {} {} takes {}", place, tensor.bytes.size(), tensor.dtype, to_string(tensor.shape),
           wanted);
    }
    entries.emplace(tensor.name,
                    JsonText::verbatim(fmt::format(R"({{"data_offsets":[{},{}],"dtype":"{}","shape":[{}]}})", end,
                                                   end + wanted, tensor.dtype, joined(tensor.shape, ","))));
    end += wanted;
  }
  std::string text;
  try {
    JsonFields texts{metadata.begin(), metadata.end()};
    texts.insert_or_assign(std::string{Format::checksum_key}, Format::no_checksum);
    value_count += texts.size();
    entries.emplace(Format::metadata_key, json_object_of(texts));
    text = json_object_of(entries).text();
  } catch (const Error& error) {
    fail("{}: {}", what, error.what());
  }
  if (value_count > static_cast<std::size_t>(JsonLimits::value_count)) {
    fail("{}: its header would have {} JSON values, but readers accept at most {} (it has {} tensors)", what,
         value_count, JsonLimits::value_count, tensors.size());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > Format::largest_header)
    fail("{}: its header would take {} bytes, at most {} are allowed", what, text.size(), Format::largest_header);
  return text;
}

/// Whether a comes before b: by element size, the largest first, and then by name.
[[nodiscard, gnu::noinline]] inline bool comes_before(const TensorView* a, const TensorView* b) {
  const int a_bits = dtype_bits(a->dtype), b_bits = dtype_bits(b->dtype);
  return a_bits != b_bits ? a_bits > b_bits : a->name < b->name;
}

}  // namespace detail

/// Writes a file completely or not at all. Tensors are sorted by element size, the largest first, and then by name, so
/// that all are aligned. Throws Error for a duplicate name, for bytes that do not fit a shape, and for more tensors
/// than readers accept.
inline void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                              const Metadata& metadata = {}) {
  using Format = detail::SafetensorsFormat;
  std::vector<const TensorView*> sorted;
  sorted.reserve(tensors.size());
  for (const TensorView& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), detail::comes_before);
  std::string header =
      detail::safetensors_header(sorted, metadata, fmt::format("safetensors file \"{}\"", path.string()));
  const std::uint64_t header_size = header.size();
  std::uint32_t crc = crc32c(std::as_bytes(std::span{header}), crc32c(std::as_bytes(std::span{&header_size, 1})));
  for (const TensorView* const tensor : sorted) crc = crc32c(tensor->bytes, crc);
  const std::string prefix = Format::checksum_prefix();
  header.replace(header.find(prefix) + prefix.size(), Format::no_checksum.size(), Format::digits(crc));

  ByteWriter file;
  file.value(header_size);
  file.values(std::span<const char>{header});
  for (const TensorView* const tensor : sorted) file.values(tensor->bytes);
  write_file_atomically(path, file.bytes());
}

}  // namespace icrl
