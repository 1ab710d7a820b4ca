// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/write_cpp.hpp>

#include <string>

#include <icrl/compress/to_int8.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"
#include "support/text_file.hpp"

using namespace icrl;
using namespace icrl::test;

// That written headers compile and act as the library does: tests/embedded/check.sh.

namespace {

Int8Transformer id_model(int context = 10) { return to_int8(small_model(small_config(context), id_layout())); }

}  // namespace

TEST_CASE("A header says what its agent takes, and holds all of the model", "[compress]") {
  const CppHeader header = to_cpp(id_model(), {.name_space = "tiny"});

  CHECK(has(header.text, "namespace tiny {"));
  CHECK(has(header.text, fmt::format("//   flash  {} bytes", header.flash_bytes)));
  CHECK(has(header.text, fmt::format("//   RAM    {} bytes", header.ram_bytes)));
  CHECK(has(header.text, "/// An element of multi_discrete(4, 5).\nusing ObservationNumber = std::int32_t;"));
  for (const char* name : {"embedding.rows", "blocks.0.attention.qkv.weight", "blocks.1.mlp.down.bias", "head.weight"})
    CHECK(has(header.text, std::string{"  // "} + name + "\n"));
  CHECK_FALSE(has(header.text, "icrl/"));
}

TEST_CASE("A header's sizes are those of its arrays", "[compress]") {
  // 16 wide, 2 layers of 2 heads of 8, 10 steps; 4 + 5 ids observed, 3 to choose from.
  const std::int64_t rows = 4 + 5 + (3 + 1) + 1 + 8 + 1 + 10, weights = 2 * 12 * 16 * 16 + 16 * 3;
  const std::int64_t halves = rows + 2 * (2 * 32 + 2 * (48 + 16 + 64 + 16)) + 32 + 2 * 3;
  const std::int64_t structures = 2 * (4 * 36 + 2 * 8 + 8) + 8 + 36 + 3 * 8, angles = 4;
  const CppHeader header = to_cpp(id_model());
  CHECK(header.flash_bytes == rows * 16 + weights + 2 * halves + structures + angles);

  // Another context costs keys, values and their scales, and its length.
  const CppHeader more = to_cpp(id_model(), {.context_count = 3});
  CHECK(more.flash_bytes == header.flash_bytes);
  CHECK(more.ram_bytes - header.ram_bytes == 4 + 2 * 2 * 10 * (2 * 8 + 8));
}

TEST_CASE("A header is written to its file", "[compress]") {
  const TemporaryFolder folder;
  const Int8Transformer model = id_model();

  const CppHeader header = write_cpp(model, folder / "policy.hpp");

  CHECK(read_text(folder / "policy.hpp") == header.text);
  CHECK(header.text == to_cpp(model).text);
}

TEST_CASE("A header is refused where its agent could not do what the library's does", "[compress]") {
  Int8Transformer model = id_model();
  const auto refusal = [&](const CppConfig& config) { return error_of([&] { (void)to_cpp(model, config); }); };

  CHECK(has(refusal({.name_space = "my policy"}), "name_space is \"my policy\""));
  CHECK(has(refusal({.name_space = "2nd"}), "name_space is \"2nd\""));
  CHECK(has(refusal({.name_space = ""}), "name_space is \"\""));
  for (const char* name : {"class", "alignas", "xor_eq", "std", "my__policy", "_policy", "politik\xfcr"})
    CHECK(has(refusal({.name_space = name}), fmt::format("name_space is \"{}\"", name)));
  for (const char* name : {"classes", "my_policy2", "P", "detail"}) CHECK(refusal({.name_space = name}).empty());
  CHECK(has(refusal({.decoding = {.temperature = -1}}), "temperature is -1"));
  CHECK(has(refusal({.context_count = 1}), "context_count is 1"));

  model.layout.extra_features = {{.name = "battery", .size = 2}};
  CHECK(has(refusal({}), "extra features (battery"));

  const Int8Transformer numbers = to_int8(small_model(small_config(10), box_layout()));
  CHECK(has(error_of([&] { (void)to_cpp(numbers); }), "at temperature 1 takes a math library"));
  CHECK(error_of([&] { (void)to_cpp(numbers, {.decoding = {.temperature = 0}}); }).empty());
}
