// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/linear_maps.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The linear maps of a transformer have the names of its files", "[compress]") {
  auto model = small_model(small_config(4), id_layout());
  std::vector<std::string> names, weights;
  for_each_linear_map(model, [&](std::string_view name, Linear<float>& map) {
    names.push_back(std::string{name} + ".weight");
    CHECK(map.weight.size() > 0);
  });
  for (const auto& p : parameters_of(model))
    if (p.is_matrix && p.name.find("embedding") == std::string::npos) weights.push_back(p.name);
  CHECK(names == weights);
  CHECK(names.size() == 9);
}

TEST_CASE("Two models are walked over side by side", "[compress]") {
  const auto a = small_model(small_config(4), id_layout(), 1);
  auto b = small_model(small_config(4), id_layout(), 2);
  for_each_linear_map(a, b, [](std::string_view, const Linear<float>& from, Linear<float>& to) { to = from; });
  for_each_linear_map(a, b, [](std::string_view name, const Linear<float>& from, const Linear<float>& to) {
    INFO(name);
    CHECK(from.weight == to.weight);
  });
  CHECK(a.embedding.observation_tables[0] != b.embedding.observation_tables[0]);
}

TEST_CASE("A star in a pattern stands for any run of characters", "[compress]") {
  CHECK(matches_pattern("head", "head"));
  CHECK(matches_pattern("head", "*"));
  CHECK(matches_pattern("blocks.12.mlp.up", "blocks.*.mlp.up"));
  CHECK(matches_pattern("blocks.12.mlp.up", "*.mlp.*"));
  CHECK(matches_pattern("blocks.0.attention.qkv", "blocks.0.*"));
  CHECK(matches_pattern("", "*"));
  CHECK(!matches_pattern("header", "head"));
  CHECK(!matches_pattern("blocks.1.mlp.up", "blocks.0.*"));
  CHECK(!matches_pattern("blocks.1.mlp.up", "*.mlp"));
  CHECK(!matches_pattern("head", ""));
}
