// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/tensors.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/small_model.hpp"
#include "support/tiny_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct Codes {
  Matrix<std::int8_t> weight = Matrix<std::int8_t>::Constant(2, 3, 5);
  std::vector<std::uint16_t> columns{1, 2, 3, 4};
  static constexpr auto tensors() {
    return std::tuple{Field{"weight", &Codes::weight}, Field{"columns", &Codes::columns}};
  }
};

/// A layer of parameters that has layers of codes inside.
struct Mixed {
  RowVector<float> gain = RowVector<float>::Ones(3);
  std::vector<Codes> parts = std::vector<Codes>(2);
  static constexpr auto parameters() { return std::tuple{Field{"gain", &Mixed::gain}, Field{"parts", &Mixed::parts}}; }
};

std::string list_of(const auto& tensors) {
  std::string text;
  for (const auto& tensor : tensors)
    text += fmt::format("{} {} {} {}; ", tensor.name, tensor.dtype, to_string(tensor.shape), tensor.bytes.size());
  return text;
}

}  // namespace

static_assert(HasWeights<Mixed> && HasWeights<Codes> && !HasWeights<int>);
static_assert(!Parameterized<Codes>);

TEST_CASE("Tensors carry their own element types, also inside a layer of parameters", "[model]") {
  CHECK(list_of(tensors_of(Mixed{})) ==
        "gain F32 3 12; parts.0.weight I8 2x3 6; parts.0.columns U16 4 8; parts.1.weight I8 2x3 6; "
        "parts.1.columns U16 4 8; ");
}

TEST_CASE("A model's tensors are its parameters unless it says otherwise", "[model]") {
  const auto model = small_model<double>(small_config(4), id_layout());

  const auto tensors = tensors_of(model);

  const auto parameters = parameters_of(model);
  REQUIRE(tensors.size() == parameters.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(tensors[i].name == parameters[i].name);
    CHECK(tensors[i].dtype == "F64");
    CHECK(tensors[i].bytes.data() == std::as_bytes(parameters[i].numbers()).data());
    CHECK(tensors[i].bytes.size() == parameters[i].numbers().size_bytes());
    const auto columns = static_cast<std::uint64_t>(parameters[i].columns);
    CHECK(tensors[i].shape.back() == columns);
    CHECK(tensors[i].shape.size() == (parameters[i].is_matrix ? 2 : 1));
  }
}

TEST_CASE("The tensors of a model that may be changed are written in place", "[model]") {
  Mixed layer;

  const std::uint16_t number = 77;
  std::memcpy(tensors_of(layer)[4].bytes.data() + 2, &number, sizeof number);

  CHECK(layer.parts[1].columns == std::vector<std::uint16_t>{1, 77, 3, 4});
  CHECK(layer.parts[0].columns == std::vector<std::uint16_t>{1, 2, 3, 4});
}
