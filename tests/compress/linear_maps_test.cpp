// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/linear_maps.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The linear maps of a transformer have the names of its files", "[compress]") {
  auto model = small_model(small_config(4), id_layout());
  using Tensor = std::pair<std::string, const float*>;
  std::vector<Tensor> maps, weights;
  for_each_linear_map(model, [&](std::string_view name, Linear<float>& map) {
    maps.emplace_back(std::string{name} + ".weight", map.weight.data());
  });
  for (const auto& p : parameters_of(model))
    if (p.is_matrix && p.name.find("embedding") == std::string::npos) weights.emplace_back(p.name, p.data);
  CHECK(maps == weights);
  CHECK(maps.size() == 9);
}

TEST_CASE("Two models are walked over side by side", "[compress]") {
  const auto a = small_model(small_config(4), id_layout(), 1);
  auto b = small_model(small_config(4), id_layout(), 2);
  for_each_linear_map(a, b, [](std::string_view, const Linear<float>& from, Linear<float>& to) { to = from; });
  const auto from = parameters_of(a);
  const auto to = parameters_of(std::as_const(b));
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!from[i].is_matrix || from[i].name.find("embedding") != std::string::npos) continue;
    INFO(from[i].name);
    CHECK(from[i].map() == to[i].map());
  }
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
