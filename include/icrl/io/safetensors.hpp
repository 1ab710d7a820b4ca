// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/file.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/tensor_view.hpp>

// A safetensors file (https://github.com/huggingface/safetensors), little-endian:
//   1. bytes 0 .. 7: u64 N, the size of the header; at most 100 MB
//   2. bytes 8 .. 8 + N - 1: the header, a JSON object that begins with '{' and may be followed by spaces. It has
//      - for every tensor, by name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}; the
//        offsets are bytes from the end of the header, numbers lie row by row
//      - optionally "__metadata__": an object of texts
//   3. the data, up to the end of the file. Tensors leave no hole, do not overlap, and begin at a multiple of their
//      element size.
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

}  // namespace detail

/// An open safetensors file, mapped. Everything is checked before anything is allocated for it; after that tensors are
/// views of the file, valid while this lives. Throws Error for a file that breaks the format, or whose checksum is
/// wrong if it has one.
class SafetensorsFile {
public:
  /// `what` names the kind of file in errors.
  explicit SafetensorsFile(const std::filesystem::path& path, std::string_view what = "safetensors file")
      : what_{fmt::format("{} \"{}\"", what, path.string())}, file_{path} {
    const std::string_view header = header_text();
    check_checksum(header);
    const Json json = parse_json(header, what_);
    if (!json.is_object()) fail("{}: its header is no JSON object", what_);
    for (const auto& [name, entry] : json.items()) {
      if (name == Format::metadata_key) {
        read_metadata(entry);
      } else {
        read_tensor(name, entry);
      }
    }
    check_order();
  }

  [[nodiscard]] const std::string& what() const { return what_; }
  /// In the order of their data.
  [[nodiscard]] std::span<const TensorView> tensors() const { return tensors_; }
  /// Without the checksum.
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
  /// Whether the file had a checksum, so that what is read is what was written.
  [[nodiscard]] bool has_checksum() const { return has_checksum_; }

private:
  using Format = detail::SafetensorsFormat;

  std::string_view header_text() {
    const auto bytes = file_.bytes();
    if (bytes.size() < 8)
      fail("{}: {} bytes are too few, the size of the header alone takes 8 (was it cut?)", what_, bytes.size());
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    if (size > Format::largest_header)
      fail("{}: a header of {} bytes, {} are allowed (is it a safetensors file?)", what_, size, Format::largest_header);
    if (size > bytes.size() - 8)
      fail("{}: a header of {} bytes, but only {} follow (was the file cut?)", what_, size, bytes.size() - 8);
    const std::string_view header{reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(size)};
    if (!header.starts_with('{')) fail("{}: its header does not begin with '{{' (is it a safetensors file?)", what_);
    data_ = bytes.subspan(8 + header.size());
    return header;
  }

  void check_checksum(std::string_view header) {
    const std::string prefix = Format::checksum_prefix();
    const std::size_t begin = header.find(prefix);
    if (begin == header.npos) return;
    const std::size_t place = begin + prefix.size();
    const std::string_view digits = header.substr(place, Format::no_checksum.size());
    if (digits.size() < Format::no_checksum.size())
      fail("{}: its header ends in its checksum (the file is damaged)", what_);
    const std::string found = Format::checksum(file_.bytes(), 8 + place);
    if (digits != found) fail("{}: checksum {}, its header says \"{}\" (the file is damaged)", what_, found, digits);
    has_checksum_ = true;
  }

  void read_metadata(const Json& entry) {
    if (!entry.is_object()) fail("{}: {} is {}, not an object", what_, Format::metadata_key, entry.type_name());
    for (const auto& [key, text] : entry.items()) {
      if (!text.is_string())
        fail("{}: \"{}\" in {} is {}, not a text", what_, key, Format::metadata_key, text.type_name());
      if (key != Format::checksum_key) {
        metadata_.emplace(key, text.get<std::string>());
      } else if (!has_checksum_) {
        fail("{}: its {} is not written as icrl writes it (was the header rewritten by another program?)", what_, key);
      }
    }
  }

  void read_tensor(const std::string& name, const Json& json) {
    JsonObject entry{json, fmt::format("{}: tensor \"{}\"", what_, name)};
    TensorView tensor{.name = name, .dtype = entry.text("dtype"), .shape = numbers(entry, "shape"), .bytes = {}};
    const auto offsets = numbers(entry, "data_offsets");
    entry.expect_no_other();
    if (offsets.size() != 2 || offsets[0] > offsets[1]) fail("{}: data_offsets are not [begin, end]", entry.what());
    const std::uint64_t begin = offsets[0], end = offsets[1];
    if (end > data_.size())
      fail("{}: ends at byte {} of the data, which has {} (was the file cut?)", entry.what(), end, data_.size());
    const std::uint64_t wanted = byte_count(tensor.dtype, tensor.shape, entry.what());
    if (end - begin != wanted) {
      fail("{}: has {} bytes, {} {} takes {}", entry.what(), end - begin, tensor.dtype, to_string(tensor.shape),
           wanted);
    }
    tensor.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(wanted));
    const std::uint64_t place = file_.bytes().size() - data_.size() + begin;
    const auto element = static_cast<std::uint64_t>(std::max(8, dtype_bits(tensor.dtype)) / 8);
    if (place % element != 0)
      fail("{}: misaligned, it begins at byte {} of the file, no multiple of {}", entry.what(), place, element);
    tensors_.push_back(std::move(tensor));
  }

  static std::vector<std::uint64_t> numbers(JsonObject& entry, const char* key) {
    std::vector<std::uint64_t> numbers;
    for (const Json& number : entry.list(key)) {
      if (!number.is_number_unsigned()) fail("{}: {} holds {}, not a whole number", entry.what(), key, shown(number));
      numbers.push_back(number.get<std::uint64_t>());
    }
    return numbers;
  }

  void check_order() {
    const auto begin_of = [&](const TensorView& tensor) {
      return static_cast<std::size_t>(tensor.bytes.data() - data_.data());
    };
    std::sort(tensors_.begin(), tensors_.end(), [&](const TensorView& a, const TensorView& b) {
      return std::pair{begin_of(a), a.bytes.size()} < std::pair{begin_of(b), b.bytes.size()};
    });
    std::size_t end = 0;
    for (const TensorView& tensor : tensors_) {
      const std::size_t begin = begin_of(tensor);
      if (begin > end) fail("{}: a hole of {} bytes before tensor \"{}\"", what_, begin - end, tensor.name);
      if (begin < end)
        fail("{}: tensor \"{}\" overlaps the one before it by {} bytes", what_, tensor.name, end - begin);
      end = begin + tensor.bytes.size();
    }
    if (end != data_.size()) fail("{}: {} bytes follow the last tensor", what_, data_.size() - end);
  }

  std::string what_;
  MappedFile file_;
  std::span<const std::byte> data_;
  std::vector<TensorView> tensors_;
  Metadata metadata_;
  bool has_checksum_ = false;
};

namespace detail {

/// The header of tensors that follow one another in this order, filled up, its checksum still zeros.
[[nodiscard]] inline std::string safetensors_header(std::span<const TensorView> tensors, const Metadata& metadata,
                                                    const std::string& what) {
  using Format = SafetensorsFormat;
  Json header;
  header[Format::metadata_key] = metadata;
  header[Format::metadata_key][Format::checksum_key] = Format::no_checksum;
  std::size_t end = 0;
  for (const TensorView& tensor : tensors) {
    const std::string place = fmt::format("{}: tensor \"{}\"", what, tensor.name);
    if (header.contains(tensor.name)) fail("{}: the name is taken", place);
    const std::uint64_t wanted = byte_count(tensor.dtype, tensor.shape, place);
    if (wanted != tensor.bytes.size()) {
      fail("{}: has {} bytes, {} {} takes {}", place, tensor.bytes.size(), tensor.dtype, to_string(tensor.shape),
           wanted);
    }
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + wanted}}};
    end += wanted;
  }
  std::string text = to_text(header, what);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > Format::largest_header)
    fail("{}: its header takes {} bytes, {} are allowed", what, text.size(), Format::largest_header);
  return text;
}

}  // namespace detail

/// Writes a file, as a whole or, where that fails, not at all. Tensors are sorted by element size, the largest first,
/// and then by name, so that all are aligned. Throws Error for a name that stands twice, and for bytes that do not fit
/// a shape.
inline void write_safetensors(const std::filesystem::path& path, std::vector<TensorView> tensors,
                              const Metadata& metadata = {}) {
  using Format = detail::SafetensorsFormat;
  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair{-dtype_bits(a.dtype), std::string_view{a.name}} <
           std::pair{-dtype_bits(b.dtype), std::string_view{b.name}};
  });
  std::string header =
      detail::safetensors_header(tensors, metadata, fmt::format("safetensors file \"{}\"", path.string()));
  const std::uint64_t header_size = header.size();
  std::uint32_t crc = crc32c(std::as_bytes(std::span{header}), crc32c(std::as_bytes(std::span{&header_size, 1})));
  for (const TensorView& tensor : tensors) crc = crc32c(tensor.bytes, crc);
  const std::string prefix = Format::checksum_prefix();
  header.replace(header.find(prefix) + prefix.size(), Format::no_checksum.size(), Format::digits(crc));

  ByteWriter file;
  file.value(header_size);
  file.values(std::span<const char>{header});
  for (const TensorView& tensor : tensors) file.values(tensor.bytes);
  write_file_atomically(path, file.bytes());
}

}  // namespace icrl
