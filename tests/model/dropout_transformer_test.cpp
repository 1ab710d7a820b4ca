// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/dropout_transformer.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <icrl/model/image_step_encoder.hpp>
#include <icrl/model/mixture_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>
#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(HasDropoutPass<CausalTransformer<float>> && HasDropoutPass<CausalTransformer<double>>);
static_assert(HasDropoutPass<MixtureTransformer<float>>);
static_assert(!HasDropoutPass<RecurrentModel<float>>);
static_assert(
    !std::is_constructible_v<DropoutPass<CausalTransformer<float>>, CausalTransformer<float>&&, const DropoutRates&>);

namespace {

/// A block of a kind that has no pass with dropout.
template <typename L, typename F>
struct OtherBlock : Block<float, L, F> {
  using Block<float, L, F>::Block;
};
struct OtherBlockParts : DenseParts<float> {
  template <typename L, typename F>
  using Block = OtherBlock<L, F>;
};
static_assert(Trainable<CausalTransformer<float, OtherBlockParts>>);
static_assert(!HasDropoutPass<CausalTransformer<float, OtherBlockParts>>);

constexpr DropoutRates all_rates{.embedding = 0.2, .residual = 0.3, .attention = 0.4};

/// The outputs of a pass over a window, with the masks of a seed.
template <typename M>
Matrix<typename M::Scalar> outputs_with_dropout(const M& model, const DropoutRates& rates,
                                                const std::vector<float>& features, int steps, std::uint64_t seed) {
  const DropoutPass<M> pass{model, rates};
  typename DropoutPass<M>::Cache cache;
  cache.masks = Rng{seed};
  Matrix<typename M::Scalar> outputs(steps, output_count_of(model));
  pass.forward(features, steps, cache, outputs);
  return outputs;
}

}  // namespace

TEST_CASE("A transformer's pass with dropout matches finite differences under fixed masks", "[model][gradient]") {
  for (TransformerConfig config : all_schemes(7)) {
    CAPTURE(config.positions, config.tokens);
    const StepLayout layout = grid_layout();
    CausalTransformer<double> model{config, layout};
    Rng rng{3};
    randomise(model, rng);
    const std::vector<float> features = random_features(layout, 6, rng);
    const Matrix<double> slope = random_matrix(6, model.output_count(), rng);
    const DropoutPass<CausalTransformer<double>> pass{model, all_rates};
    DropoutPass<CausalTransformer<double>>::Cache cache;
    CausalTransformer<double> grad = model;
    set_zero(grad);
    cache.masks = Rng{5};
    Matrix<double> outputs(6, model.output_count());
    pass.forward(features, 6, cache, outputs);
    pass.backward(features, 6, slope, cache, grad);

    const auto [error, name] = worst_parameter_error(model, grad, [&] {
      pass.forward(features, 6, cache, outputs);
      return slope.cwiseProduct(outputs).sum();
    });

    INFO("worst tensor: " << name);
    CHECK(error < 1e-8);
  }
}

TEST_CASE("A pass with dropout of rate 0 gives the bits of the model's pass, under every scheme", "[model]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (const TransformerConfig& config : all_schemes(40)) {
      CausalTransformer<float> model{config, layout};
      Rng rng{3};
      model.initialize(rng);
      const DropoutPass<CausalTransformer<float>> pass{model, {}};
      CausalTransformer<float>::Cache plain_cache;
      DropoutPass<CausalTransformer<float>>::Cache cache;
      for (const int steps : {40, 21, 1}) {
        const std::vector<float> features = random_features(layout, steps, rng);
        const Index size = model.output_count();
        Matrix<float> expected(steps, size), found(steps, size), derivative(steps, size);
        fill_normal(derivative, 1, rng);
        auto expected_grad = model, found_grad = model;
        set_zero(expected_grad);
        set_zero(found_grad);

        model.forward(features, steps, plain_cache, expected);
        model.backward(features, steps, derivative, plain_cache, expected_grad);
        pass.forward(features, steps, cache, found);
        pass.backward(features, steps, derivative, cache, found_grad);

        CHECK(found == expected);
        for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, found_grad,
                           expected_grad);
      }
    }
  }
}

TEST_CASE("Each of the rates changes outputs, and outputs depend on the generator and what the cache saw not",
          "[model]") {
  const StepLayout layout = grid_layout();
  CausalTransformer<float> model{all_schemes(20)[0], layout};
  Rng rng{3};
  model.initialize(rng);
  const std::vector<float> features = random_features(layout, 20, rng);
  const Matrix<float> plain = outputs_with_dropout(model, {}, features, 20, 1);
  for (const DropoutRates& rates :
       {DropoutRates{.embedding = 0.1}, DropoutRates{.residual = 0.1}, DropoutRates{.attention = 0.1}}) {
    const Matrix<float> dropped = outputs_with_dropout(model, rates, features, 20, 1);
    CHECK(dropped != plain);
    CHECK(outputs_with_dropout(model, rates, features, 20, 1) == dropped);
    CHECK(outputs_with_dropout(model, rates, features, 20, 2) != dropped);
  }

  const DropoutPass<CausalTransformer<float>> pass{model, all_rates};
  DropoutPass<CausalTransformer<float>>::Cache used;
  Matrix<float> outputs(20, model.output_count());
  pass.forward(features, 20, used, outputs);
  used.masks = Rng{9};
  pass.forward(features, 7, used, outputs.topRows(7));
  CHECK(outputs.topRows(7) == outputs_with_dropout(model, all_rates, features, 7, 9));
}

TEST_CASE("The layers of a transformer have masks of their own", "[model]") {
  // Two blocks that add a constant: with equal masks the stream would be 0 or both of them.
  const StepLayout layout = grid_layout();
  CausalTransformer<double> model{{.width = 16, .layer_count = 2, .head_count = 1, .context = 20}, layout};
  for (auto& block : model.blocks) block.attention.output.bias.setOnes();
  Rng rng{3};
  const std::vector<float> features = random_features(layout, 20, rng);
  const DropoutPass<CausalTransformer<double>> pass{model, {.residual = 0.5}};
  DropoutPass<CausalTransformer<double>>::Cache cache;
  Matrix<double> outputs(20, model.output_count());

  pass.forward(features, 20, cache, outputs);

  int single = 0;
  for (Index i = 0; i < cache.ends.stream.size(); ++i) single += cache.ends.stream.data()[i] == 2 ? 1 : 0;
  CHECK(single > 100);  // of 320, half of them are expected
  CHECK(single < 220);
}

TEST_CASE("Transformers with images, values and experts have a pass with dropout", "[model]") {
  const StepLayout images{.observation_space = image_box(5, 5, 1), .action_space = Discrete{3}};
  const auto check = [](auto model, const StepLayout& layout) {
    using M = decltype(model);
    Rng rng{3};
    model.initialize(rng);
    const std::vector<float> features = random_features(layout, 12, rng);
    const DropoutPass<M> pass{model, all_rates};
    typename DropoutPass<M>::Cache cache;
    Matrix<float> outputs(12, output_count_of(model)), derivative = Matrix<float>::Ones(12, output_count_of(model));
    M grad = model;
    set_zero(grad);
    pass.forward(features, 12, cache, outputs);
    pass.backward(features, 12, derivative, cache, grad);
    CHECK(outputs.allFinite());
    double squares = 0;
    for_each_parameter([&](std::string_view, const auto& p) { squares += static_cast<double>(p.squaredNorm()); }, grad);
    CHECK(std::isfinite(squares));
    CHECK(squares > 0);
  };
  const TransformerConfig config{.width = 8, .layer_count = 2, .head_count = 2, .context = 12};
  check(CausalTransformer<float, ValueParts<float, ImageParts<float>>>{config, images}, images);
  check(MixtureTransformer<float>{{config, {.expert_count = 3}}, grid_layout()}, grid_layout());
}

TEST_CASE("A pass with a rate that makes no sense is refused", "[model]") {
  const CausalTransformer<float> model{{.width = 8, .head_count = 2}, grid_layout()};
  CHECK(has(error_of([&] {
              DropoutPass<CausalTransformer<float>>{model, {.attention = std::numeric_limits<double>::quiet_NaN()}};
            }),
            "dropout: attention is nan, it must lie in [0, 1)"));
}
