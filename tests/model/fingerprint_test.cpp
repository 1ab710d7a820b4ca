// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/fingerprint.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Whatever tells two kinds of model apart stands in their description", "[model]") {
  std::set<std::string> found;
  int kinds = 0;
  const auto add = [&](const TransformerConfig& config, const StepLayout& layout) {
    found.insert(describe(CausalTransformer<float>{config, layout}));
    ++kinds;
  };
  const auto vary = [&](auto change) {
    TransformerConfig config = small_config(4);
    change(config);
    add(config, id_layout());
  };
  vary([](auto&) {});
  vary([](auto& c) { c.width = 32; });
  vary([](auto& c) { c.layer_count = 3; });
  vary([](auto& c) { c.head_count = 4; });
  vary([](auto& c) { c.hidden = 48; });
  vary([](auto& c) { c.context = 5; });
  vary([](auto& c) { c.positions = PositionScheme::rotary; });
  vary([](auto& c) { c.tokens = TokenScheme::separate; });
  vary([](auto& c) { c.window_start = WindowStart::anywhere; });
  vary([](auto& c) { c.reward_scale = 0.5f; });
  add(small_config(4), id_layout(true));
  add(small_config(4), box_layout());
  found.insert(describe(CausalTransformer<double>{small_config(4), id_layout()}));
  ++kinds;

  CHECK(static_cast<int>(found.size()) == kinds);
}

TEST_CASE("A fingerprint is that of every weight", "[model]") {
  auto model = small_model(small_config(4), id_layout());
  const std::string before = fingerprint(model);
  CHECK(fingerprint(CausalTransformer<float>{model}) == before);

  for_each_parameter(
      [&](std::string_view, auto& tensor) {
        if (tensor.size() == 0) return;
        const float kept = tensor.data()[tensor.size() - 1];
        tensor.data()[tensor.size() - 1] += 1;
        CHECK(fingerprint(model) != before);
        tensor.data()[tensor.size() - 1] = kept;
      },
      model);
  CHECK(fingerprint(model) == before);
}
