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
//      - for every tensor, by name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}; the
//        offsets are bytes from the end of the header, numbers lie row by row
//      - optionally "__metadata__": an object of texts
//   3. the data, up to the end of the file. Tensors leave no hole and do not overlap; they may begin at any byte.
// Files written here are filled up with spaces so that the data begins at a multiple of 8, and have one more promise:
//   4. "__metadata__" has the key "icrl.checksum", 8 lower-case hexadecimal digits: the CRC-32C of the whole file with
//      zeros ('0') in place of these digits. So damage anywhere is noticed, in the header too; if it hits the key
//      itself, the file is one without a checksum, which readers of our own files refuse.
namespace icrl {

using Metadata = std::map<std::string, std::string>;

namespace detail {

struct SafetensorsFormat {
  static constexpr std::uint64_t largest_header = 100'000'000;
  static constexpr std::string_view metadata_key = "__metadata__";
  static constexpr std::string_view checksum_key = "icrl.checksum";
  static constexpr std::string_view no_checksum = "00000000";

  /// What stands before the checksum's digits. No other place of a header can hold it: inside a text quotes are
  /// escaped.
  [[nodiscard]] static std::string checksum_prefix() { return fmt::format("\"{}\":\"", checksum_key); }

  /// Of a file whose digits begin at byte `place`.
  [[nodiscard]] static std::string checksum(std::span<const std::byte> file, std::size_t place) {
    std::uint32_t crc = crc32c(file.first(place));
    crc = crc32c(std::as_bytes(std::span{no_checksum}), crc);
    return digits(crc32c(file.subspan(place + no_checksum.size()), crc));
  }
  [[nodiscard]] static std::string digits(std::uint32_t crc) { return fmt::format("{:08x}", crc); }
};

/// The header of tensors that follow one another in this order, filled up, its checksum still zeros.
[[nodiscard]] inline std::string safetensors_header(std::span<const TensorView* const> tensors,
                                                    const Metadata& metadata, const std::string& what) {
  using Format = SafetensorsFormat;
  JsonFields entries;
  std::size_t end = 0, value_count = 2;  // the header and the object of texts
  for (const TensorView* const next : tensors) {
    const TensorView& tensor = *next;
    value_count += 6 + tensor.shape.size();  // an object of a text and two lists, one of them of two offsets
    const std::string place = fmt::format("{}: tensor \"{}\"", what, tensor.name);
    if (tensor.name == Format::metadata_key || entries.contains(tensor.name)) fail("{}: the name is taken", place);
    const std::uint64_t wanted = byte_count(tensor.dtype, tensor.shape, place);
    if (wanted != tensor.bytes.size()) {
      fail("{}: has {} bytes, {} {} takes {}", place, tensor.bytes.size(), tensor.dtype, to_string(tensor.shape),
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
    fail("{}: its header would be JSON of {} values, {} are read (it has {} tensors)", what, value_count,
         JsonLimits::value_count, tensors.size());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > Format::largest_header)
    fail("{}: its header takes {} bytes, {} are allowed", what, text.size(), Format::largest_header);
  return text;
}

/// Whether a stands before b: by element size, the largest first, and then by name.
[[nodiscard, gnu::noinline]] inline bool comes_before(const TensorView* a, const TensorView* b) {
  const int a_bits = dtype_bits(a->dtype), b_bits = dtype_bits(b->dtype);
  return a_bits != b_bits ? a_bits > b_bits : a->name < b->name;
}

}  // namespace detail

/// Writes a file, as a whole or, where that fails, not at all. Tensors are sorted by element size, the largest first,
/// and then by name, so that all are aligned. Throws Error for a name that stands twice, for bytes that do not fit a
/// shape, and for more tensors than readers take.
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
