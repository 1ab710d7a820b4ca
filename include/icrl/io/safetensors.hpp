// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/file.hpp>
#include <icrl/core/tensor_view.hpp>
#include <icrl/io/json.hpp>
#include <icrl/io/safetensors_writer.hpp>

// safetensors_writer.hpp describes the format.
namespace icrl {

/// A mapped safetensors file. Everything is checked before anything is allocated for it. The tensors are views of the
/// file and valid while this object exists; in files of other programs they may begin at any byte. Throws Error for a
/// malformed file and for a wrong checksum, if there is one.
class SafetensorsFile {
public:
  /// `what` names the kind of file in errors.
  explicit SafetensorsFile(const std::filesystem::path& path, std::string_view what = "safetensors file")
      : what_{fmt::format("{} \"{}\"", what, path.string())}, file_{path} {
    const std::string_view header = header_text();
    check_checksum(header);
    const Json json = parse_json(header, what_);
    if (!json.is_object()) fail("{}: its header is not a JSON object", what_);
    for (const auto& [name, entry] : json.items()) {
      if (name == Format::metadata_key) {
        read_metadata(entry);
      } else {
        read_tensor(name, entry);
      }
    }
    check_order();
  }

  /// The kind and the path of the file, for errors.
  [[nodiscard]] const std::string& what() const { return what_; }
  /// In the order of their data in the file.
  [[nodiscard]] std::span<const TensorView> tensors() const { return tensors_; }
  /// The metadata without the checksum.
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
  /// Whether the file had a checksum, which was then verified.
  [[nodiscard]] bool has_checksum() const { return has_checksum_; }

private:
  using Format = detail::SafetensorsFormat;

  std::string_view header_text() {
    const auto bytes = file_.bytes();
    if (bytes.size() < 8)
      fail("{}: the file has {} bytes, but the size of the header alone takes 8 (was it cut?)", what_, bytes.size());
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    if (size > Format::largest_header)
      fail("{}: its header has {} bytes, at most {} are allowed (is it a safetensors file?)", what_, size,
           Format::largest_header);
    if (size > bytes.size() - 8)
      fail("{}: its header should have {} bytes, but only {} follow (was the file cut?)", what_, size,
           bytes.size() - 8);
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
      fail("{}: its header ends within its checksum (the file is damaged)", what_);
    const std::string found = Format::checksum(file_.bytes(), 8 + place);
    if (digits != found)
      fail("{}: its checksum is {}, but \"{}\" is stored (the file is damaged)", what_, found, digits);
    has_checksum_ = true;
  }

  void read_metadata(const Json& entry) {
    if (!entry.is_object())
      fail("{}: {} is {}, it must be a JSON object", what_, Format::metadata_key, entry.type_name());
    for (const auto& [key, text] : entry.items()) {
      if (!text.is_string())
        fail("{}: \"{}\" in {} is {}, it must be a string", what_, key, Format::metadata_key, text.type_name());
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
    entry.check_no_other();
    if (offsets.size() != 2 || offsets[0] > offsets[1]) fail("{}: data_offsets must be [begin, end]", entry.what());
    const std::uint64_t begin = offsets[0], end = offsets[1];
    if (end > data_.size())
      fail("{}: ends at byte {}, but there are only {} bytes of data (was the file cut?)", entry.what(), end,
           data_.size());
    const std::uint64_t wanted = byte_count(tensor.dtype, tensor.shape, entry.what());
    if (end - begin != wanted) {
      fail("{}: has {} bytes, but {} {} takes {}", entry.what(), end - begin, tensor.dtype, to_string(tensor.shape),
           wanted);
    }
    tensor.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(wanted));
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
      if (begin > end) fail("{}: {} unused byte(s) before tensor \"{}\"", what_, begin - end, tensor.name);
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

}  // namespace icrl
