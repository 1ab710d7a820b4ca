// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/mixture_of_experts.hpp>

#include <icrl/nn/block.hpp>

#include "support/alloc_counter.hpp"
#include "support/errors.hpp"
#include "support/layer_gradients.hpp"
#include "support/low_rank_linear.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(TrainableLayer<MixtureOfExperts<float>> && FeedForwardLayer<MixtureOfExperts<float>>);
static_assert(Block<double, Linear<double>, MixtureOfExperts<double>>::is_trainable);

namespace {

template <typename S>
MixtureOfExperts<S> random_mixture(Index width, Index hidden, const MixtureConfig& config, std::uint64_t seed = 4) {
  MixtureOfExperts<S> layer{width, hidden, config};
  Rng rng{seed};
  randomise(layer, rng);
  return layer;
}

/// y = sum over the chosen of gate * expert(x), token by token, with the choices of the router's logits.
Matrix<double> plain_mixture(const MixtureOfExperts<double>& layer, const Matrix<double>& x) {
  Matrix<double> y = Matrix<double>::Zero(x.rows(), x.cols());
  const Index k = layer.config.experts_per_token;
  for (Index t = 0; t < x.rows(); ++t) {
    RowVector<double> logits = x.row(t) * layer.router.weight + layer.router.bias, left = logits;
    const double all = logits.array().exp().sum();
    std::vector<Index> chosen;
    double among_chosen = 0;
    for (Index rank = 0; rank < k; ++rank) {
      Index best = 0;
      left.maxCoeff(&best);
      left[best] = -1e300;
      chosen.push_back(best);
      among_chosen += std::exp(logits[best]);
    }
    for (const Index e : chosen) {
      const auto& expert = layer.experts[static_cast<std::size_t>(e)];
      RowVector<double> hidden = x.row(t) * expert.up.weight + expert.up.bias;
      gelu_row(hidden.data(), hidden.size());
      y.row(t) +=
          std::exp(logits[e]) / (k == 1 ? all : among_chosen) * (hidden * expert.down.weight + expert.down.bias);
    }
  }
  return y;
}

/// Checks backward against finite differences of sum(y * dy) + auxiliary losses.
void check_mixture_gradients(MixtureOfExperts<double> layer, Index rows) {
  Rng rng{11};
  Matrix<double> x = random_matrix(rows, layer.input_size(), rng);
  const Matrix<double> dy = random_matrix(rows, layer.input_size(), rng);
  MixtureOfExperts<double> grad = layer;
  set_zero(grad);
  const auto pass = [&](MixtureOfExperts<double>::Cache& cache, MixtureOfExperts<double>::Scratch& scratch) {
    Matrix<double> y = Matrix<double>::Zero(rows, layer.input_size());
    layer.add_forward(x, cache, scratch, y);
    return y.cwiseProduct(dy).sum() + layer.auxiliary_loss(cache);
  };
  MixtureOfExperts<double>::Cache cache;
  MixtureOfExperts<double>::Scratch scratch, fresh;
  Matrix<double> dx = Matrix<double>::Constant(rows, layer.input_size(), 1e9);
  (void)pass(cache, scratch);

  layer.backward(x, dy, cache, fresh, grad, dx);

  const auto loss = [&] {
    MixtureOfExperts<double>::Cache own;
    MixtureOfExperts<double>::Scratch memory;
    return pass(own, memory);
  };
  CHECK(relative_error(dx, numeric_gradient(x, loss)) < gradient_tolerance);
  const auto [error, name] = worst_parameter_error(layer, grad, loss);
  INFO("worst tensor: " << name);
  CHECK(error < gradient_tolerance);
}

/// Rows of a pass that acts.
template <typename S>
Matrix<S> act(const MixtureOfExperts<S>& layer, const Matrix<S>& x) {
  typename MixtureOfExperts<S>::Scratch scratch;
  Matrix<S> y = Matrix<S>::Ones(x.rows(), x.cols());
  layer.add_forward(x, scratch, y);
  return y;
}

}  // namespace

TEST_CASE("A mixture of experts adds the gated outputs of the experts that its router chose", "[nn]") {
  for (const int k : {1, 2, 4}) {
    const auto layer = random_mixture<double>(6, 9, {.expert_count = 4, .experts_per_token = k});
    Rng rng{1};
    const Matrix<double> x = random_matrix(12, 6, rng);
    MixtureOfExperts<double>::Cache cache;
    MixtureOfExperts<double>::Scratch scratch;
    Matrix<double> trained = Matrix<double>::Ones(12, 6);

    layer.add_forward(x, cache, scratch, trained);

    const Matrix<double> expected = (plain_mixture(layer, x).array() + 1).matrix();
    CAPTURE(k);
    CHECK((trained - expected).norm() < 1e-12);
    CHECK((act(layer, x) - expected).norm() < 1e-12);
  }
}

TEST_CASE("Mixture of experts: backward matches finite differences with both auxiliary losses", "[nn][gradient]") {
  for (const int k : {1, 2, 3}) {
    for (const double capacity : {0.0, 0.75}) {
      CAPTURE(k, capacity);
      check_mixture_gradients(random_mixture<double>(5, 7,
                                                     {.expert_count = 4,
                                                      .experts_per_token = k,
                                                      .balance_weight = 0.5,
                                                      .z_weight = 0.25,
                                                      .capacity_factor = capacity}),
                              10);
    }
  }
}

TEST_CASE("Mixture of experts: without weights the auxiliary losses leave no trace", "[nn]") {
  const MixtureConfig without{.expert_count = 4, .balance_weight = 0, .z_weight = 0};
  const auto layer = random_mixture<double>(5, 7, without);
  Rng rng{1};
  const Matrix<double> x = random_matrix(6, 5, rng), dy = Matrix<double>::Zero(6, 5);
  MixtureOfExperts<double> grad = layer;
  set_zero(grad);
  MixtureOfExperts<double>::Cache cache;
  MixtureOfExperts<double>::Scratch scratch;
  Matrix<double> y = Matrix<double>::Zero(6, 5), dx(6, 5);
  layer.add_forward(x, cache, scratch, y);

  layer.backward(x, dy, cache, scratch, grad, dx);

  CHECK(layer.auxiliary_loss(cache) == 0);
  CHECK(dx.isZero(0));
  CHECK(grad.router.weight.isZero(0));
}

TEST_CASE("An expert that no token chooses gets no gradient and disturbs nothing", "[nn]") {
  auto layer = random_mixture<double>(5, 7, {.expert_count = 3, .experts_per_token = 2});
  layer.router.bias[1] = -100;
  Rng rng{1};
  const Matrix<double> x = random_matrix(8, 5, rng), dy = random_matrix(8, 5, rng);
  MixtureOfExperts<double> grad = layer;
  set_zero(grad);
  MixtureOfExperts<double>::Cache cache;
  MixtureOfExperts<double>::Scratch scratch;
  Matrix<double> y = Matrix<double>::Zero(8, 5), dx(8, 5);

  layer.add_forward(x, cache, scratch, y);
  layer.backward(x, dy, cache, scratch, grad, dx);

  ExpertLoad load;
  layer.add_load(cache, load);
  CHECK(load.choices == std::vector<std::int64_t>{8, 0, 8});
  CHECK(grad.experts[1].up.weight.isZero(0));
  CHECK(!grad.experts[0].up.weight.isZero(0));
  CHECK((y - plain_mixture(layer, x)).norm() < 1e-12);
  check_mixture_gradients(layer, 8);
}

TEST_CASE("In training, tokens beyond an expert's capacity pass it by; in acting none do", "[nn]") {
  auto layer =
      random_mixture<double>(5, 7, {.expert_count = 4, .experts_per_token = 1, .z_weight = 0, .capacity_factor = 1});
  layer.router.bias << 100, 0, 0, 0;
  Rng rng{1};
  const Matrix<double> x = random_matrix(10, 5, rng), expected = plain_mixture(layer, x);
  MixtureOfExperts<double>::Cache cache;
  MixtureOfExperts<double>::Scratch scratch;
  Matrix<double> y = Matrix<double>::Zero(10, 5);

  layer.add_forward(x, cache, scratch, y);

  CHECK((y.topRows(3) - expected.topRows(3)).norm() < 1e-12);  // 10 / 4, rounded up
  CHECK(y.bottomRows(7).isZero(0));
  CHECK(((act(layer, x).array() - 1).matrix() - expected).norm() < 1e-12);
  CHECK(layer.auxiliary_loss(cache) == Approx(10 * 0.01 * 4));  // all tokens chose it, also those that it did not take
}

TEMPLATE_TEST_CASE("Eight tokens in one pass get the bits of eight passes of one", "[nn]", float, double) {
  for (const int k : {1, 2}) {
    for (const Index width : {6, 13, 64}) {
      const auto layer = random_mixture<TestType>(width, 2 * width + 3, {.expert_count = 5, .experts_per_token = k});
      Rng rng{1};
      Matrix<TestType> x(8, width);
      fill_normal(x, 1, rng);

      const Matrix<TestType> together = act(layer, x);

      CAPTURE(k, width);
      for (Index t = 0; t < 8; ++t) CHECK(act<TestType>(layer, x.row(t)) == together.row(t));
    }
  }
}

TEST_CASE("A mixture of experts allocates nothing after the first pass, wherever tokens go", "[nn]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const auto layer = random_mixture<float>(8, 12, {.expert_count = 6, .experts_per_token = 2});
  MixtureOfExperts<float> grad = layer;
  MixtureOfExperts<float>::Cache cache;
  MixtureOfExperts<float>::Scratch scratch, acting;
  Rng rng{1};
  Matrix<float> x(20, 8), y = Matrix<float>::Zero(20, 8), dx(20, 8);
  const auto train = [&] {
    fill_normal(x, 3, rng);
    layer.add_forward(x, cache, scratch, y);
    layer.backward(x, y, cache, scratch, grad, dx);
  };
  train();
  layer.reserve(acting, 20);

  const AllocationCount allocations;
  for (int i = 0; i < 20; ++i) {
    train();
    layer.add_forward(x, acting, y);
    layer.add_forward(x.topRows(1 + i % 20), acting, y.topRows(1 + i % 20));
  }

  CHECK(allocations.count() == 0);
}

TEST_CASE("A mixture of experts counts its weights", "[nn]") {
  const MixtureConfig config{.expert_count = 5, .experts_per_token = 1};

  CHECK(MixtureOfExperts<float>::weight_count(6, 9, config) == parameter_count(MixtureOfExperts<float>{6, 9, config}));
  CHECK(MixtureOfExperts<float>::weight_count(6, 9) == parameter_count(MixtureOfExperts<float>{6, 9}));
  CHECK(error_of([] {
          (void)MixtureOfExperts<float>{6, 9, {.expert_count = 1}};
        }) == "mixture of experts: experts_per_token is 2, it can be at most expert_count = 1");
}

TEST_CASE("Experts may be feed-forward layers of any linear map", "[nn]") {
  using Mixture = MixtureOfExperts<double, FeedForward<double, LowRankLinear<double>>>;
  STATIC_REQUIRE(TrainableLayer<Mixture>);
  Mixture layer{6, 9, {.expert_count = 3}};
  Rng rng{2};
  randomise(layer, rng);
  const Matrix<double> x = random_matrix(7, 6, rng);
  Mixture::Cache cache;
  Mixture::Scratch scratch, acting;
  Matrix<double> trained = Matrix<double>::Zero(7, 6), acted = trained;

  layer.add_forward(x, cache, scratch, trained);
  layer.add_forward(x, acting, acted);

  CHECK(!trained.isZero());
  CHECK((trained - acted).norm() < 1e-12);
}
