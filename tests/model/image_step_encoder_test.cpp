// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/image_step_encoder.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <icrl/io/model_file.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/fingerprint.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using ImageModel = CausalTransformer<S, ImageParts<S>>;
static_assert(TrainableStepEncoder<ImageStepEncoder<float>>);
static_assert(Streaming<ImageModel<float>> && Trainable<ImageModel<float>> && LoadableModel<ImageModel<float>>);
static_assert(ImageModel<float>::kind == "image_transformer");

const std::vector<int> two_convolutions{3, 3, 2, 4, 2, 1};

StepLayout picture_layout(int height = 7, int width = 6, int channels = 2) {
  return {.observation_space = image_box(height, width, channels), .action_space = Discrete{3}};
}

TransformerConfig image_config(int context, TokenScheme tokens = TokenScheme::fused) {
  TransformerConfig config = small_config(context);
  config.tokens = tokens;
  config.convolutions = two_convolutions;
  return config;
}

/// Rows of a made-up stream of one episode.
std::vector<float> picture_rows(const StepLayout& layout, int count) {
  const auto life = fake_life(layout, count, count, 3);
  const auto size = static_cast<std::size_t>(layout.feature_count());
  std::vector<float> rows(static_cast<std::size_t>(count) * size);
  for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t)
    layout.write(std::span{rows}.subspan(t * size, size), life[t].observation, life[t].action, life[t].reward,
                 t == 0 ? 3 : 0);
  return rows;
}

template <typename M>
M random_image_model(const TransformerConfig& config, const StepLayout& layout) {
  M model{config, layout};
  Rng rng{1};
  model.initialize(rng);
  for (const auto& p : parameters_of(model))
    for (auto& number : p.numbers()) number += static_cast<typename M::Scalar>(0.1 * rng.normal());
  return model;
}

ImageEncoderConfig chosen_for(int height, int width) {
  return icrl::detail::image_encoder_config(image_box(height, width, 1), {});
}

}  // namespace

TEST_CASE("A step with an image is the token of the image and those of the rest", "[model]") {
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
    const StepLayout layout = picture_layout();
    Rng rng{2};
    const int each = tokens == TokenScheme::fused ? 1 : 3;
    ImageStepEncoder<double> encoder{
        {.width = 5, .tokens = tokens, .position_count = 12, .reward_scale = 2, .convolutions = two_convolutions},
        layout};
    randomise(encoder, rng, 0.2);
    const std::vector<float> rows = picture_rows(layout, 4);
    ImageStepEncoder<double>::Cache cache;
    Matrix<double> found(4 * each, 5);
    encoder.forward(rows, 4, cache, found);

    // The same by hand: the sums of a step without its image, and the image's token on its last token.
    Matrix<double> pictures(4, 84), of_pictures(4, 5);
    for (Index t = 0; t < 4; ++t)
      for (Index i = 0; i < 84; ++i) pictures(t, i) = static_cast<double>(rows[static_cast<std::size_t>(t * 87 + i)]);
    ImageEncoder<double>::Cache images;
    encoder.images.forward(pictures, images, of_pictures);
    for (Index t = 0; t < 4; ++t) {
      const float* const past = rows.data() + t * 87 + 84;
      Matrix<double> expected(each, 5);
      const auto& parts = encoder.steps;
      for (Index k = 0; k < each; ++k) expected.row(k) = parts.bias + parts.positions.row(each * t + k);
      expected.row(0) += parts.action_tables[0].row(static_cast<Index>(past[0]));
      expected.row(each == 1 ? 0 : 1) += 2 * static_cast<double>(past[1]) * parts.reward;
      expected.row(each - 1) += parts.flags.row(static_cast<Index>(past[2])) + of_pictures.row(t);
      CHECK((found.middleRows(each * t, each) - expected).norm() < 1e-12 * expected.norm());
    }
  }
}

TEST_CASE("The gradient of a transformer with images matches finite differences", "[model][gradient]") {
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
    const StepLayout layout = picture_layout();
    auto model = random_image_model<ImageModel<double>>(image_config(4, tokens), layout);
    // Far from a ReLU's edge, which finite differences must not cross.
    for (auto& convolution : model.embedding.images.convolutions) convolution.bias.setConstant(5);
    model.embedding.images.convolutions[1].bias[2] = -50;
    const std::vector<float> rows = picture_rows(layout, 4);
    Rng rng{5};
    const Matrix<double> slope = random_matrix(4, model.output_count(), rng);
    ImageModel<double>::Cache cache;
    Matrix<double> outputs(4, model.output_count());
    ImageModel<double> grad = model;
    set_zero(grad);
    model.forward(rows, 4, cache, outputs);
    model.backward(rows, 4, slope, cache, grad);

    const auto [error, name] = worst_parameter_error(model, grad, [&] {
      model.forward(rows, 4, cache, outputs);
      return outputs.cwiseProduct(slope).sum();
    });

    INFO("worst tensor: " << name);
    CHECK(error < 1e-6);
    CHECK(grad.embedding.images.convolutions[0].weight.norm() > 0);
  }
}

TEST_CASE("A stream of images is the forward pass, without an allocation", "[model]") {
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
    const StepLayout layout = picture_layout();
    using M = ImageModel<float>;
    const auto model = random_image_model<M>(image_config(9, tokens), layout);
    const std::vector<float> rows = picture_rows(layout, 9);
    M::Cache cache;
    Matrix<float> whole(9, 3), two(2, 3);
    model.forward(rows, 9, cache, whole);
    std::vector<M::State> states = model.make_states(2);
    M::StreamWorkspace workspace;
    model.reserve(workspace, 2);
    const AllocationCount allocations;

    for (std::size_t t = 0; t < 9; ++t) {
      const float* const row = rows.data() + t * static_cast<std::size_t>(layout.feature_count());
      const StreamInput<M::State> inputs[] = {{&states[0], row}, {&states[1], row}};
      model.step(inputs, workspace, two);
      REQUIRE((two.row(0) - whole.row(static_cast<Index>(t))).norm() < 1e-5f * whole.row(static_cast<Index>(t)).norm());
      REQUIRE(two.row(0) == two.row(1));
    }
    CHECK(allocations.count() == 0);
  }
}

TEST_CASE("A step sees the image and the weights of its own pass", "[model]") {
  const StepLayout layout = picture_layout();
  using M = ImageModel<float>;
  auto model = random_image_model<M>(image_config(9), layout);
  const std::vector<float> rows = picture_rows(layout, 2);
  const float *const one = rows.data(), *const other = one + layout.feature_count();
  const auto said = [&](M::StreamWorkspace& workspace, const std::vector<const float*>& seen) {
    std::vector<M::State> states = model.make_states(seen.size());
    std::vector<StreamInput<M::State>> inputs;
    for (std::size_t i = 0; i < seen.size(); ++i) inputs.push_back({&states[i], seen[i]});
    Matrix<float> outputs(static_cast<Index>(seen.size()), 3);
    model.step(inputs, workspace, outputs);
    return outputs;
  };
  M::StreamWorkspace used, fresh;
  const Matrix<float> together = said(used, {one, other, other, one});

  CHECK(together.row(0) == together.row(3));
  CHECK(together.row(1) == together.row(2));
  CHECK(together.row(0) == said(fresh, {one}).row(0));
  CHECK(together.row(1) == said(fresh, {other}).row(0));
  CHECK(together.row(0) != together.row(1));

  (void)said(used, {one});
  model.embedding.images.output.bias.setConstant(0.5f);
  CHECK(said(used, {one}) == said(fresh, {one}));
  CHECK(said(used, {one}).row(0) != together.row(0));
}

TEST_CASE("An image model is saved and loaded, and its file is nothing else's", "[model]") {
  const auto model = random_image_model<ImageModel<float>>(image_config(6), picture_layout());
  const TemporaryFolder folder;
  save_model(model, folder / "images");
  TransformerConfig larger = model.config;
  larger.layer_count = 3;

  const auto loaded = load_model<ImageModel<float>>(folder / "images");
  CHECK(weights_of(loaded) == weights_of(model));
  CHECK(loaded.config == model.config);
  CHECK(fingerprint(loaded) == fingerprint(model));
  CHECK(has(describe(model), "image_transformer, "));
  CHECK(has(describe(model), ", convolutions 3 3 2 4 2 1, "));
  CHECK(ImageModel<float>::weight_count(model.config, model.layout) == parameter_count(model));
  CHECK(ImageModel<float>::weight_count(larger, model.layout) ==
        parameter_count(ImageModel<float>{larger, model.layout}));
  CHECK(has(error_of([&] { (void)load_model<float>(folder / "images"); }),
            "holds a image_transformer, not a causal_transformer"));
}

TEST_CASE("Convolutions follow from the image's size unless the configuration names them", "[model]") {
  using Convolutions = std::vector<ImageEncoderConfig::Convolution>;
  CHECK(chosen_for(84, 84) == ImageEncoderConfig{});
  CHECK(chosen_for(20, 90).convolutions == ImageEncoderConfig{}.convolutions);
  CHECK(chosen_for(19, 90).convolutions == Convolutions{{16, 3, 1}, {32, 3, 2}});
  CHECK(chosen_for(4, 9).convolutions == Convolutions{{16, 3, 1}});
  CHECK(chosen_for(1, 2).convolutions == Convolutions{{16, 1, 1}});
  for (int side = 1; side < 40; ++side)
    CHECK(error_of([&] { validate(chosen_for(side, 40), image_box(side, 40, 1)); }).empty());

  const auto scale_of = [](float low, float high) {
    return icrl::detail::image_encoder_config(Box{{low}, {high}, {1, 1, 1}}, {}).input_scale;
  };
  CHECK(scale_of(0, 1) == 1);
  CHECK(scale_of(-4, 2) == 0.25);
  CHECK(scale_of(0, 0) == 1);
  CHECK(scale_of(0, std::numeric_limits<float>::infinity()) == 1);
}

TEST_CASE("Configurations that no images fit are refused", "[model]") {
  const auto error = [](std::vector<int> convolutions, const StepLayout& layout = picture_layout()) {
    TransformerConfig config = small_config(6);
    config.convolutions = std::move(convolutions);
    return error_of([&] { (void)ImageModel<float>{config, layout}; });
  };

  CHECK(error(two_convolutions).empty());
  CHECK(error({}).empty());
  CHECK(error({3, 3}) ==
        "transformer: convolutions has 2 entries, it needs 3 per convolution: channels, kernel and stride");
  CHECK(error({3, 3, 0}) == "transformer: convolutions[2] is 0, it must lie in 1 .. 4096");
  CHECK(error({3, 9, 1}) ==
        "image encoder: convolution 0 has kernel size 9, which must fit into its image of 7 x 6 pixels");
  CHECK(error({4000, 1, 1, 4096, 1, 1}, picture_layout(250, 250, 1)) ==
        "image encoder: convolution 1 takes 506000000 numbers per image, at most 268435456 are possible");
  CHECK(error({}, id_layout()) ==
        "image step encoder: observations are multi_discrete(4, 5), they must be a box of shape "
        "(height, width, channels)");

  TransformerConfig config = small_config(6);
  config.convolutions = two_convolutions;
  CHECK(error_of([&] {
          (void)CausalTransformer<float>{config, picture_layout()};
        }) ==
        "step embedding: convolutions is (3, 3, 2, 4, 2, 1), but this model has no image encoder (use ImageParts)");
}
