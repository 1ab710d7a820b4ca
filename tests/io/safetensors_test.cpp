// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/safetensors.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct SafetensorsFixture {
  TemporaryFolder folder;
  std::filesystem::path path = folder / "a.safetensors";

  std::string error_of_bytes(const std::vector<char>& bytes) {
    write_bytes(path, bytes);
    return error_of([&] { const SafetensorsFile file{path}; });
  }
  /// Of a file of this header, not filled up, and so many bytes of data.
  std::string error_of_header(const std::string& header, std::size_t data_size) {
    return error_of_bytes(safetensors_bytes(header, std::string(data_size, '\1')));
  }
};

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

/// Spaces up to the next multiple of 8, so that the data is aligned.
std::string padded(std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

TEST_CASE_METHOD(SafetensorsFixture, "Tensors come back as they were written, the widest first", "[io]") {
  const std::array<float, 6> a{1, 2, 3, 4, 5, 6};
  const std::array<double, 2> b{7, 8};
  const std::array<std::uint8_t, 3> c{9, 10, 11};
  const auto bytes = [](const auto& numbers) { return std::as_bytes(std::span{numbers}); };

  write_safetensors(path,
                    {{"c", "U8", {3}, bytes(c)},
                     {"a", "F32", {2, 3}, bytes(a)},
                     {"none", "F32", {0, 5}, {}},
                     {"b", "F64", {2}, bytes(b)}},
                    {{"title", "a \"test\"\n"}});
  const SafetensorsFile file{path};

  REQUIRE(file.tensors().size() == 4);
  CHECK(file.tensors()[0].name == "b");
  CHECK(file.tensors()[1].name == "a");
  CHECK(file.tensors()[1].shape == std::vector<std::uint64_t>{2, 3});
  CHECK(std::memcmp(file.tensors()[1].bytes.data(), a.data(), sizeof a) == 0);
  CHECK(file.tensors()[2].name == "none");
  CHECK(file.tensors()[2].bytes.empty());
  CHECK(file.tensors()[3].dtype == "U8");
  CHECK(file.metadata() == Metadata{{"title", "a \"test\"\n"}});
  CHECK(file.has_checksum());
}

TEST_CASE_METHOD(SafetensorsFixture, "The file is what its format says, byte by byte", "[io]") {
  const std::array<float, 1> one{1.0f};

  write_safetensors(path, {{"x", "F32", {}, std::as_bytes(std::span{one})}}, {});

  const std::string header =
      R"({"__metadata__":{"icrl.checksum":"????????"},"x":{"data_offsets":[0,4],"dtype":"F32","shape":[]}})";
  const auto written = read_bytes(path);
  std::string text{written.begin() + 8, written.end() - 4};
  text.replace(text.find(":\"") + 2, 8, "????????");
  CHECK(text == padded(header));
  CHECK(written[0] == static_cast<char>(text.size()));
  CHECK(std::string{written.end() - 4, written.end()} == std::string("\x00\x00\x80\x3f", 4));
  CHECK((8 + text.size()) % 8 == 0);
}

TEST_CASE_METHOD(SafetensorsFixture, "The same tensors in another order make the same file", "[io]") {
  const std::array<float, 2> x{1, 2}, y{3, 4};
  const TensorView a{"a", "F32", {2}, std::as_bytes(std::span{x})}, b{"b", "F32", {2}, std::as_bytes(std::span{y})};

  write_safetensors(path, {a, b}, {});
  const auto first = read_bytes(path);
  write_safetensors(path, {b, a}, {});

  CHECK(read_bytes(path) == first);
}

TEST_CASE_METHOD(SafetensorsFixture, "A header that no reader would take is not written", "[io]") {
  const std::size_t sizes = JsonLimits::value_count / 4 - 6;  // four tensors fill the limit
  std::vector<TensorView> tensors;
  for (const char* name : {"a", "b", "c", "d"})
    tensors.push_back({name, "F32", std::vector<std::uint64_t>(sizes, 0), {}});
  const Metadata metadata{{"title", "wide"}};

  CHECK(error_of([&] { write_safetensors(path, tensors, metadata); }) ==
        "safetensors file \"" + path.string() +
            "\": its header would have 1048580 JSON values, but readers accept at most 1048576 (it has 4 tensors)");
  CHECK_FALSE(std::filesystem::exists(path));
  tensors.back().shape.resize(sizes - 4);
  write_safetensors(path, tensors, metadata);
  CHECK(SafetensorsFile{path}.tensors().size() == 4);
}

TEST_CASE_METHOD(SafetensorsFixture, "Files of other programs are read without a checksum", "[io]") {
  const std::string header =
      padded(R"({"x":)" + entry("F16", "[2,2]", "[0,8]") + R"(, "__metadata__": {"format": "pt"}})");
  write_bytes(path, safetensors_bytes(header, std::string(8, 'x')));

  const SafetensorsFile file{path};

  CHECK(file.tensors()[0].bytes.size() == 8);
  CHECK(file.metadata().at("format") == "pt");
  CHECK_FALSE(file.has_checksum());
}

TEST_CASE_METHOD(SafetensorsFixture, "Tensors may begin at any byte", "[io]") {
  for (const auto& [type, size] : {std::pair{"F32", 4}, std::pair{"F64", 8}}) {
    const std::string data(static_cast<std::size_t>(3 * size), 'x');
    for (std::size_t before = 0; before < 8; ++before) {    // bytes of another tensor
      for (std::size_t spaces = 0; spaces < 8; ++spaces) {  // at the end of the header
        const std::string middle = std::to_string(before), end = std::to_string(before + data.size());
        const std::string header = R"({"flags":)" + entry("U8", "[" + middle + "]", "[0," + middle + "]") + R"(,"x":)" +
                                   entry(type, "[3]", "[" + middle + "," + end + "]") + "}" + std::string(spaces, ' ');
        write_bytes(path, safetensors_bytes(header, std::string(before, '-') + data));

        const SafetensorsFile file{path};

        REQUIRE(file.tensors().size() == 2);
        CHECK(file.tensors()[1].name == "x");
        CHECK(std::memcmp(file.tensors()[1].bytes.data(), data.data(), data.size()) == 0);
      }
    }
  }
}

TEST_CASE_METHOD(SafetensorsFixture, "Every fault of the frame is named", "[io]") {
  CHECK(has(error_of_bytes({}), "the file has 0 bytes"));
  CHECK(has(error_of_bytes({1, 2, 3}), "the file has 3 bytes"));
  CHECK(has(error_of_bytes(std::vector<char>(20, '\xff')),
            "its header has 18446744073709551615 bytes, at most 100000000 are allowed"));
  CHECK(has(error_of_bytes({0, 0, 16, 0, 0, 0, 0, 0, '{', '}'}),
            "its header should have 1048576 bytes, but only 2 follow"));
  CHECK(has(error_of_bytes({0, 0, 0, 0, 0, 0, 0, 0, '{', '}'}), "does not begin with '{'"));
  CHECK(has(error_of_header(" {}", 0), "does not begin with '{'"));
  CHECK(has(error_of_header("{}}", 0), "syntax error"));
  CHECK(has(error_of_header("{\"\xff\":1}", 0), "ill-formed UTF-8"));
  CHECK(has(error_of_header("{}", 3), "3 bytes follow the last tensor"));
  CHECK(has(error_of([&] { const SafetensorsFile file{folder / "absent"}; }), "absent"));
  CHECK(error_of_header("{}      ", 0).empty());
}

TEST_CASE_METHOD(SafetensorsFixture, "Every fault of a tensor is named, and the tensor with it", "[io]") {
  const auto error = [&](const std::string& tensor, std::size_t data_size) {
    return error_of_header(padded("{\"x\":" + tensor + "}"), data_size);
  };
  CHECK(error(entry("F32", "[2]", "[0,8]"), 8).empty());
  CHECK(
      has(error(entry("F32", "[2]", "[0,8]"), 7), "tensor \"x\": ends at byte 8, but there are only 7 bytes of data"));
  CHECK(has(error(entry("F32", "[2]", "[0,8]"), 9), "1 bytes follow the last tensor"));
  CHECK(has(error(entry("F32", "[3]", "[0,8]"), 8), "tensor \"x\": has 8 bytes, but F32 3 takes 12"));
  CHECK(has(error(entry("F31", "[2]", "[0,8]"), 8), "tensor \"x\": unknown element type \"F31\""));
  CHECK(has(error(entry("F4", "[3]", "[0,2]"), 2), "does not take a whole number of bytes"));
  CHECK(has(error(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0), "4294967296x4294967296 overflows"));
  CHECK(has(error(entry("F32", "[18446744073709551615]", "[0,0]"), 0), "overflows"));
  CHECK(has(error(entry("F32", "[-2]", "[0,8]"), 8), "shape holds -2, not a whole number"));
  CHECK(has(error(entry("F32", "[2.0]", "[0,8]"), 8), "shape holds 2.0, not a whole number"));
  CHECK(has(error(entry("F32", "2", "[0,8]"), 8), "\"shape\" should be a list"));
  CHECK(has(error(entry("F32", "[2]", "[8,0]"), 8), "data_offsets must be [begin, end]"));
  CHECK(has(error(entry("F32", "[2]", "[0]"), 8), "data_offsets must be [begin, end]"));
  CHECK(has(error(R"({"dtype":"F32","shape":[2]})", 8), "\"data_offsets\" is missing"));
  CHECK(has(error(R"({"dtype":3,"shape":[2],"data_offsets":[0,8]})", 8), "\"dtype\" should be a text"));
  CHECK(has(error(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"a":1})", 8), "tensor \"x\": unknown key \"a\""));
  CHECK(has(error("7", 8), "tensor \"x\": should be a JSON object, it is 7"));
}

TEST_CASE_METHOD(SafetensorsFixture, "Tensors may leave no hole, not overlap, and have no name twice", "[io]") {
  const auto error = [&](const std::string& first, const std::string& second, const char* name = "y") {
    return error_of_header(
        padded("{\"x\":" + entry("U8", "[4]", first) + ",\"" + name + "\":" + entry("U8", "[4]", second) + "}"), 8);
  };
  CHECK(error("[4,8]", "[0,4]").empty());
  CHECK(has(error("[0,4]", "[3,7]"), "tensor \"y\" overlaps the one before it by 1 bytes"));
  CHECK(has(error("[0,4]", "[0,4]"), "overlaps"));
  CHECK(has(error("[1,5]", "[4,8]"), "1 unused byte(s) before tensor \"x\""));
  CHECK(has(error("[0,4]", "[4,8]", "x"), "the key \"x\" twice"));
}

TEST_CASE_METHOD(SafetensorsFixture, "Metadata are texts, and a checksum has one way to be written", "[io]") {
  CHECK(has(error_of_header(R"({"__metadata__":[]})", 0), "__metadata__ is array"));
  CHECK(has(error_of_header(R"({"__metadata__":{"a":1}})", 0), "\"a\" in __metadata__ is number"));
  CHECK(has(error_of_header(R"({"__metadata__":{"icrl.checksum":"00000000"}})", 0), "the file is damaged"));
  CHECK(has(error_of_header(R"({"__metadata__":{"icrl.checksum":")", 0), "its header ends within its checksum"));
  CHECK(has(error_of_header(R"({"__metadata__":{"icrl.checksum": "00000000"}})", 0), "not written as icrl writes it"));
  CHECK(has(error_of_header(R"({"icrl.checksum":"00000000"})", 0), "the file is damaged"));
}

TEST_CASE_METHOD(SafetensorsFixture, "What cannot be read back is not written", "[io]") {
  const std::array<float, 2> x{1, 2};
  const auto bytes = std::as_bytes(std::span{x});
  const auto error = [&](std::vector<TensorView> tensors, const Metadata& metadata = {}) {
    return error_of([&] { write_safetensors(path, tensors, metadata); });
  };

  CHECK(has(error({{"a", "F32", {2}, bytes}, {"a", "F32", {2}, bytes}}), "tensor \"a\": the name is already in use"));
  CHECK(has(error({{"__metadata__", "F32", {2}, bytes}}), "the name is already in use"));
  CHECK(has(error({{"a", "F32", {3}, bytes}}), "has 8 bytes, but F32 3 takes 12"));
  CHECK(has(error({{"a", "float", {2}, bytes}}), "unknown element type \"float\""));
  CHECK(has(error({}, {{"title", "\xff"}}), "UTF-8"));
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_METHOD(SafetensorsFixture, "Damage of any bit and any cut are noticed, or the checksum is gone", "[io]") {
  const std::array<float, 3> x{1, 2, 3};
  write_safetensors(path, {{"x", "F32", {3}, std::as_bytes(std::span{x})}, {"y", "F32", {0}, {}}},
                    {{"note", "some text"}});
  const auto bytes = read_bytes(path);
  const auto is_noticed = [&](const std::vector<char>& damaged) {
    write_bytes(path, damaged);
    bool has_checksum = false;
    return !error_of([&] { has_checksum = SafetensorsFile{path}.has_checksum(); }).empty() || !has_checksum;
  };
  REQUIRE_FALSE(is_noticed(bytes));

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE(is_noticed({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}));
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    REQUIRE(is_noticed(with_flipped_bit(bytes, bit)));
  }
}
