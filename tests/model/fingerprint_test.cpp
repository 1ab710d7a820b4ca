// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/fingerprint.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/small_model.hpp"
#include "support/tiny_model.hpp"

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

TEST_CASE("Descriptions in files of version 1 stay as they are", "[model]") {
  const TransformerConfig config{.width = 24,
                                 .layer_count = 3,
                                 .head_count = 6,
                                 .hidden = 50,
                                 .context = 17,
                                 .positions = PositionScheme::rotary,
                                 .tokens = TokenScheme::separate,
                                 .window_start = WindowStart::anywhere,
                                 .reward_scale = 0.1};

  CHECK(describe(CausalTransformer<float>{{}, id_layout()}) ==
        "32-bit, width 64, layers 4, heads 4, hidden 256, context 80, learned positions, fused tokens, windows that "
        "start at episode starts, reward scale 1, observations multi_discrete(4, 5), actions discrete(3), no closing "
        "token");
  CHECK(describe(CausalTransformer<double>{config, box_layout(true)}) ==
        "64-bit, width 24, layers 3, heads 6, hidden 50, context 17, rotary positions, separate tokens, windows that "
        "start anywhere, reward scale 0.1, observations box([-1, -1], [1, 1]), actions box([-2, -2], [2, 2]), with "
        "closing token");
}

TEST_CASE("The description of any other kind of model begins with its kind", "[model]") {
  CHECK(describe(TraceModel<double>{{.context = 5, .decay = 0.25}, id_layout()}) ==
        "trace, 64-bit, context 5, decay 0.25, windows that start at episode starts, observations multi_discrete(4, "
        "5), actions discrete(3), no closing token");
}

TEST_CASE("A fingerprint sees tensors of every element type", "[model]") {
  Int8Model model{{}, id_layout()};
  const std::string before = fingerprint(model);

  model.weight(2, 1) = -3;
  const std::string after_weight = fingerprint(model);
  model.scale(1) = 0.5f;

  CHECK(before != after_weight);
  CHECK(fingerprint(model) != after_weight);
  CHECK(before.starts_with("int8, 32-bit, context 8, "));
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
