// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/self_test.hpp>

#include <ctime>

#include <icrl/model/self_test_training.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

// Each check is handed a kernel that is wrong in one way, as a compiler could make it, and has to name its part.
namespace {

using Model = CausalTransformer<float>;

/// A small case of whole sequences in which `spoil` has its way after every step.
template <typename Spoil>
std::string steps_error(Spoil spoil) {
  const TransformerConfig config{.width = 16, .layer_count = 1, .head_count = 2, .context = 17};
  return error_of([&] {
    detail::check_steps(config, 2,
                        [&](const Model& model, std::span<const StreamInput<Model::State>> lanes,
                            Model::StreamWorkspace& workspace, Matrix<float>& outputs) {
                          model.step(lanes, workspace, outputs);
                          spoil(lanes, workspace, outputs);
                        });
  });
}

/// The same for passes over a window.
template <typename Spoil>
std::string training_error(Spoil spoil) {
  const TransformerConfig config{.width = 8, .layer_count = 1, .head_count = 2, .context = 5};
  return error_of([&] {
    detail::check_training(config, [&](const Model& model, std::span<const float> features, int steps,
                                       MatrixIn<float> doutputs, bool rounded, Matrix<float>& outputs, Model& grad) {
      const auto run = [&](const auto& pass, auto cache) {
        pass.forward(features, steps, cache, outputs);
        pass.backward(features, steps, doutputs, cache, grad);
      };
      Bf16Transformer bf16{model};
      bf16.pack();
      if (rounded) {
        run(bf16, Bf16Transformer::Cache{});
      } else {
        run(model, Model::Cache{});
      }
      spoil(rounded, outputs, grad);
    });
  });
}

template <typename Spoil>
std::string softmax_error(Spoil spoil) {
  return error_of([&] {
    detail::check_softmax([&](float* x, Index count, Index size, float scale) {
      softmax_row(x, count, size, scale);
      spoil(x, count, size);
    });
  });
}

template <typename In, typename Spoil>
std::string products_error(Spoil spoil) {
  return error_of([&] {
    detail::check_products<In>([&](const detail::Gemm<In>& gemm) {
      detail::product(gemm);
      spoil(gemm.rows, gemm.width, gemm.c, gemm.c_stride);
    });
  });
}

template <typename Spoil>
std::string attention_error(Spoil spoil) {
  return error_of([&] {
    detail::check_attention([&](const float* query, Index heads, const StreamKeyValues<float>& past, Index count,
                                Matrix<float>& scores, float* mixed) {
      attend(query, heads, past, count, scores, mixed);
      spoil(query, heads, past, count, scores, mixed);
    });
  });
}

}  // namespace

TEST_CASE("This build passes the self test, in little time", "[model][self_test]") {
  const std::clock_t begin = std::clock();

  CHECK(error_of([] { self_test(); }) == "");
  CHECK(error_of([] { self_test_training(); }) == "");

  CHECK(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC < 5);  // of which it needs one hundredth
}

TEST_CASE("An error of the self test names part, place, values, compiler, target and remedy", "[model][self_test]") {
  const std::string text = softmax_error([](float* x, Index count, Index) { x[count - 1] *= 1.001f; });

  CHECK(has(text, "self test: softmax: probability 0 of 1 is 1.001"));
  CHECK(has(text, "plain arithmetic gives 1, and they may differ by 5.0e-06"));
#if defined(__clang__)
  CHECK(has(text, "clang " __clang_version__));
#else
  CHECK(has(text, "g++ " __VERSION__));
#endif
  CHECK(has(text, describe_build()));
  CHECK(has(describe_build(), "packets of " + std::to_string(detail::packet_bytes) + " bytes"));
  CHECK(has(describe_build(), "BF16") == has_bfloat16_products);
  CHECK(has(text, "-mtune=generic"));
}

TEST_CASE("The self test sees wrong steps", "[model][self_test]") {
  const auto nothing = [](auto, auto&, auto&) {};
  const auto wrong = [](auto lanes, auto&, Matrix<float>& outputs) {
    if (lanes[0].state->length() == 17) outputs(0, 4) += 1e-4f;
  };
  const auto silent = [](auto lanes, auto&, Matrix<float>& outputs) {
    for (std::size_t i = 0; i < lanes.size(); ++i)
      if (!lanes[i].wants_output) outputs(static_cast<Index>(i), 0) = 0;
  };
  const auto nan = [](auto lanes, auto&, Matrix<float>& outputs) {
    if (lanes[0].wants_output) outputs(0, 0) = std::numeric_limits<float>::quiet_NaN();
  };
  const auto behind_scores = [](auto, Model::StreamWorkspace& workspace, auto&) {
    workspace.scratch[0].attention.scores(2, 0) = 0;
  };
  const auto behind_outputs = [](auto lanes, auto&, Matrix<float>& outputs) {
    outputs(static_cast<Index>(lanes.size()), 2) = 0;
  };

  CHECK(steps_error(nothing) == "");
  CHECK(has(steps_error(wrong), "streaming steps: output 4 of step 17 of context 17 (width 16, 2 heads"));
  CHECK(has(steps_error(silent), "streaming steps: the row of outputs of a lane that does not act"));
  CHECK(has(steps_error(nan), "streaming steps: output 0 of step"));
  CHECK(has(steps_error(behind_scores), "streaming steps: the memory after the scores of attention"));
  CHECK(has(steps_error(behind_outputs), "streaming steps: the memory after the outputs"));
}

TEST_CASE("The self test sees wrong passes forward and back", "[model][self_test]") {
  const auto outputs_of = [](bool wanted, float change) {
    return [=](bool rounded, Matrix<float>& outputs, Model&) {
      if (rounded == wanted) outputs(4, 2) += change;
    };
  };
  const auto derivatives_of = [](bool wanted, float change) {
    return [=](bool rounded, Matrix<float>&, Model& grad) {
      if (rounded == wanted) grad.blocks[0].attention.qkv.weight(3, 5) += change;
    };
  };

  CHECK(training_error([](bool, auto&, auto&) {}) == "");
  CHECK(has(training_error(outputs_of(false, 1e-3f)), "training pass: output 2 of step 4, products in float32"));
  CHECK(has(training_error(outputs_of(true, 0.2f)), "training pass: output 2 of step 4, products in bfloat16"));
  CHECK(has(training_error(derivatives_of(false, 1e-3f)), "along a direction of blocks.0.attention.qkv.weight"));
  CHECK(has(training_error(derivatives_of(true, 0.5f)),
            "bfloat16 change in the derivatives of blocks.0.attention.qkv.weight"));
}

TEST_CASE("The self test sees wrong softmax, GELU and norms", "[model][self_test]") {
  const auto swallows_nan = [](float* x, Index, Index) {
    if (x[1] != x[1]) x[0] = x[1] = 0.5f;
  };
  const auto gelu_error = [](auto gelu) { return error_of([&] { detail::check_gelu(gelu); }); };
  const auto norm_error = [](float epsilon) {
    return error_of([&] {
      detail::check_norm([&](const LayerNorm<float>& norm, MatrixIn<float> x, MatrixOut<float> y) {
        const RowVector<float> centered = x.row(0).array() - x.mean();
        const float variance = centered.squaredNorm() / static_cast<float>(x.cols());
        y.row(0) = centered.cwiseProduct(norm.gain) / std::sqrt(variance + epsilon) + norm.bias;
      });
    });
  };

  CHECK(has(softmax_error([](float* x, Index, Index size) { x[size - 1] = 1e-30f; }), "softmax: probability 15 of 1 "));
  CHECK(has(softmax_error([](float* x, Index, Index size) { x[size] = 0; }), "softmax: the memory after a row"));
  CHECK(has(softmax_error([](float* x, Index, Index) { x[-1] = 0; }), "softmax: the memory before a row"));
  CHECK(has(softmax_error(swallows_nan), "softmax: of the scores 0 and NaN"));
  CHECK(has(gelu_error([](float* y, float* slope, Index size) {
              gelu_row(y, slope == nullptr ? std::vector<float>(static_cast<std::size_t>(size)).data() : slope, size);
              for (Index i = 0; i < size; ++i) y[i] *= 1.00001f;
            }),
            "GELU: GELU at"));
  CHECK(has(gelu_error([](float* y, float* slope, Index size) {
              if (slope == nullptr) return gelu_row(y, size);
              gelu_row(y, slope, size);
              slope[size - 1] += 1e-4f;
            }),
            "GELU: the slope of GELU at"));
  CHECK(norm_error(1e-5f) == "");
  CHECK(has(norm_error(1.1e-5f), "layer norm: number"));
}

TEST_CASE("The self test sees wrong products", "[model][self_test]") {
  const auto nothing = [](Index, Index, float*, Index) {};
  const auto last_number = [](Index rows, Index width, float* c, Index stride) {
    c[(rows - 1) * stride + width - 1] += 1e-3f;
  };
  const auto between_rows = [](Index rows, Index width, float* c, Index) {
    if (rows > 1) c[width] = 0;
  };
  const auto behind = [](Index rows, Index width, float* c, Index stride) { c[(rows - 1) * stride + width] = 0; };

  CHECK(products_error<float>(nothing) == "");
  CHECK(has(products_error<float>(last_number), "products of matrices: number (0, "));
  CHECK(has(products_error<float>(between_rows), "products of matrices: number (0, "));
  CHECK(has(products_error<float>(behind), "products of matrices: the memory after"));
  CHECK(products_error<Bf16Pair>(nothing) == "");
  CHECK(has(products_error<Bf16Pair>(last_number), "products in bfloat16: number (0, "));
}

TEST_CASE("The self test sees wrong attention", "[model][self_test]") {
  const auto nothing = [](auto&&...) {};
  const auto forgets_a_token = [](const float* query, Index heads, const StreamKeyValues<float>& past, Index count,
                                  Matrix<float>& scores,
                                  float* mixed) { attend(query, heads, past, count - 1, scores, mixed); };
  const auto behind = [](auto&&, Index heads, auto&&, auto&&, Matrix<float>& scores, auto&&) { scores(heads, 9) = 0; };

  CHECK(attention_error(nothing) == "");
  CHECK(has(attention_error(forgets_a_token), "attention of one step: number "));
  CHECK(has(attention_error(behind), "attention of one step: the memory after the scores"));
}

TEST_CASE("The self test sees wrong rounding, random numbers and checksums", "[model][self_test]") {
  const auto rounding_error = [](std::uint32_t summand) {
    return error_of([&] {
      detail::check_rounding([&](const float* from, Index size, Bf16Pair* to) {
        std::fill_n(to, pair_count(size), 0u);
        for (Index i = 0; i < size; ++i) {
          std::uint32_t bits;
          std::memcpy(&bits, from + i, sizeof bits);
          const std::uint32_t even = summand == 0x7fff ? bits >> 16 & 1u : 0;
          const std::uint32_t rounded = from[i] != from[i] ? 0x7fc0u : (bits + summand + even) >> 16;
          to[i / 2] |= rounded << (i % 2 * 16);
        }
      });
    });
  };
  const auto random_error = [](std::uint64_t more) {
    return error_of([&] {
      detail::check_random([&](std::uint64_t seed, std::uint64_t stream) { return Rng{seed, stream + more}; });
    });
  };
  const auto checksum_error = [](auto checksum) { return error_of([&] { detail::check_checksum(checksum); }); };

  CHECK(rounding_error(0x7fff) == "");
  CHECK(has(rounding_error(0), "rounding to bfloat16: what becomes of"));       // cut off
  CHECK(has(rounding_error(0x8000), "rounding to bfloat16: what becomes of"));  // ties away from zero
  CHECK(random_error(0) == "");
  CHECK(has(random_error(1), "random numbers: 64 bits of the seed 2026"));
  CHECK(checksum_error([](auto bytes, std::uint32_t previous) { return crc32c(bytes, previous); }) == "");
  CHECK(has(checksum_error([](auto bytes, std::uint32_t) { return crc32c(bytes); }), "checksums: CRC-32C of 3 bytes"));
  CHECK(has(checksum_error([](auto bytes, std::uint32_t previous) { return crc32c(bytes, previous) ^ 1u; }),
            "checksums: CRC-32C of 123456789"));
}
