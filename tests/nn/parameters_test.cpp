// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/parameters.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

struct Leaf {
  Matrix<float> table = Matrix<float>::Constant(2, 3, 1);
  RowVector<float> bias = RowVector<float>::Constant(3, 1);
  static constexpr auto parameters() { return std::tuple{Field{"table", &Leaf::table}, Field{"bias", &Leaf::bias}}; }
};

struct Tree {
  std::vector<Leaf> leaves{2};
  std::vector<Matrix<float>> maps{1, Matrix<float>::Constant(1, 4, 1)};
  Leaf last;
  static constexpr auto parameters() {
    return std::tuple{Field{"leaves", &Tree::leaves}, Field{"maps", &Tree::maps}, Field{"last", &Tree::last}};
  }
};

struct NoWeights {
  static constexpr auto parameters() { return std::tuple{}; }
};

struct BeginsWithNone {
  NoWeights activation;
  Leaf leaf;
  static constexpr auto parameters() {
    return std::tuple{Field{"activation", &BeginsWithNone::activation}, Field{"leaf", &BeginsWithNone::leaf}};
  }
};

}  // namespace

TEST_CASE("A layer may be without weights, and begin with one that is", "[nn]") {
  static_assert(std::is_same_v<ParameterScalar<BeginsWithNone>, float>);
  const BeginsWithNone layer;
  CHECK(parameter_count(NoWeights{}) == 0);
  CHECK(parameter_count(layer) == 9);
  CHECK(parameters_of(layer)[0].name == "leaf.table");
}

TEST_CASE("Every tensor is visited once, by its path, in the order of the lists", "[nn]") {
  const Tree tree;
  std::vector<std::string> names;
  for_each_parameter([&](std::string_view name, const auto&) { names.emplace_back(name); }, tree);

  CHECK(names == std::vector<std::string>{"leaves.0.table", "leaves.0.bias", "leaves.1.table", "leaves.1.bias",
                                          "maps.0", "last.table", "last.bias"});
  CHECK(parameter_count(tree) == 3 * 9 + 4);
}

TEST_CASE("The list says where each tensor lies, what shape it has and whether it is a matrix", "[nn]") {
  Tree tree;
  const auto list = parameters_of(tree);
  const auto frozen = parameters_of(std::as_const(tree));

  REQUIRE(list.size() == 7);
  CHECK(list[0].data == tree.leaves[0].table.data());
  CHECK((list[0].rows == 2 && list[0].columns == 3 && list[0].is_matrix));
  CHECK((list[1].rows == 1 && list[1].columns == 3 && !list[1].is_matrix));
  CHECK((list[4].rows == 1 && list[4].columns == 4 && list[4].is_matrix));
  CHECK(list[6].numbers().size() == 3);
  list[6].map() *= 2;
  CHECK((tree.last.bias.array() == 2).all());
  REQUIRE(frozen.size() == 7);
  CHECK(frozen[6].data == tree.last.bias.data());
  static_assert(std::is_same_v<decltype(frozen)::value_type, Parameter<const float>>);
}

TEST_CASE("The walk goes over several layers at once", "[nn]") {
  Tree to;
  const Tree from;
  set_zero(to);
  Index seen = 0;
  for_each_parameter(
      [&](std::string_view, auto& target, const auto& source) {
        CHECK(target.isZero(0));
        target += 2 * source;
        seen += target.size();
      },
      to, from);

  CHECK(seen == parameter_count(to));
  for_each_parameter([](std::string_view, const auto& tensor) { CHECK((tensor.array() == 2).all()); }, to);
}

namespace {

/// A frozen tree beside a leaf of which one tensor is frozen.
struct Grafted {
  Tree tree;
  RowVector<float> scale = RowVector<float>::Ones(2);
  Leaf leaf;

  static constexpr auto parameters() {
    return std::tuple{Frozen{"tree", &Grafted::tree}, Frozen{"scale", &Grafted::scale}, Field{"leaf", &Grafted::leaf}};
  }
};
static_assert(std::is_same_v<ParameterScalar<Grafted>, float>);

}  // namespace

TEST_CASE("All that lies in a frozen field is listed as not trained", "[nn]") {
  Grafted grafted;

  const auto list = parameters_of(grafted);

  REQUIRE(list.size() == 10);
  CHECK(list[0].name == "tree.leaves.0.table");
  for (std::size_t i = 0; i < 8; ++i) CHECK_FALSE(list[i].is_trained);
  CHECK((list[8].name == "leaf.table" && list[8].is_trained));
  CHECK(list[9].is_trained);
  CHECK(parameter_count(grafted) == 3 * 9 + 4 + 2 + 9);
  for (const auto& p : parameters_of(grafted.tree)) CHECK(p.is_trained);
}

TEST_CASE("Frozen weights can be given up, and all others stay", "[nn]") {
  Grafted grafted;

  release_frozen(grafted);

  CHECK(parameter_count(grafted) == 9);
  CHECK(parameters_of(grafted).size() == 10);
  CHECK(grafted.tree.leaves[1].table.size() == 0);
  CHECK(grafted.leaf.table.size() == 6);
  set_zero(grafted);
  CHECK(grafted.leaf.bias.isZero(0));
}
