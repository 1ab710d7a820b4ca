// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/recipe.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Steps that make no sense are named", "[compress]") {
  const auto check = [](std::vector<CompressionStep> steps, const char* text) {
    CHECK_THROWS_WITH(validate(Recipe{std::move(steps)}), ContainsSubstring(text));
  };

  check({Quantize{}, FineTune{}}, "step 1 of 2 quantizes, only the last step may do that");
  check({PruneGradually{}, KeepBestParts{}},
        "step 2 removes parts after weights were pruned (put \"keep best parts\" before \"prune gradually\")");
  check({KeepBestParts{.windows = 0}}, "step 1: windows is 0, it must be positive");
  check({Quantize{.windows = 0}}, "step 1: windows is 0, it must be positive");
  check({Quantize{.max_kl = 0}}, "step 1: max_kl is 0, it must be positive");
  const WeightQuantization two_bits{.bits = 2};
  check({PruneGradually{}, Quantize{.rules = {{.pattern = "*", .how = two_bits}}}},
        "step 2 rounds pruned weights to 2 bits, whose codes have no zero (use 3 bits or more)");
  CHECK_NOTHROW(validate(Recipe{{Quantize{.rules = {{.pattern = "*", .how = two_bits}}}}}));
  const WeightQuantization by_gptq{.rounding = Rounding::gptq};
  check({PruneGradually{}, Quantize{.rules = {{.pattern = "*", .how = by_gptq}}}},
        "step 2 rounds pruned weights by GPTQ, which makes up for errors in weights that were pruned");
  CHECK_NOTHROW(validate(Recipe{{Quantize{.rules = {{.pattern = "*", .how = by_gptq}}}}}));
  check({PruneGradually{.norm_windows = 0}}, "step 1: norm_windows is 0, it must be positive");
  check({FineTune{.training = {.updates = 0}}}, "updates is 0");
  check({FineTune{.labels = {.mix = 2}}}, "mix is 2");
  check({PruneGradually{.weights = {.sparsity = 2}}}, "sparsity is 2");
  check({PruneGradually{}, FineTune{}, PruneGradually{}}, "step 3 prunes weights a second time");
  check({TrainSparse{}, KeepBestParts{}}, "(put \"keep best parts\" before \"train sparse\")");
  check({TrainSparse{}, PruneGradually{}}, "step 2 prunes weights a second time");
  check({PruneGradually{}, TrainSparse{}},
        "step 2 begins a sparse model after \"prune gradually\" (use one of the two)");
  check({TrainSparse{}, TrainQuantized{}}, "step 2 trains a pruned model for quantization");
  check({TrainSparse{.weights = {.sparsity = 1}}}, "sparsity is 1");
  check({TrainSparse{.fine_tuning = {.training = {.label_smoothing = 0.1}}}}, "step 1: label_smoothing is 0.1");
  check({FineTune{}, NewStudent{}}, "step 2 is a new student, only the first step may be one");
  check({NewStudent{{.width = 0}}}, "width is 0");
  check({TrainQuantized{}, FineTune{}}, "step 1 of 2 quantizes, only the last step may do that");
  check({TrainQuantized{.bits = 8}}, "step 1: bits is 8, it must be 4, 3 or 2");
  check({TrainQuantized{.fine_tuning = {.labels = {.mix = 2}}}}, "mix is 2");
  check({PruneGradually{}, TrainQuantized{}},
        "step 2 trains a pruned model for quantization, which is not supported; use Quantize");
  check({FineTune{.training = {.label_smoothing = 0.1}}}, "step 1: label_smoothing is 0.1");
  check({FineTune{.training = {.token_mask = 0.1}}}, "step 1: token_mask is 0.1");
  check({PruneGradually{.fine_tuning = {.training = {.label_smoothing = 0.1}}}}, "step 1: label_smoothing is 0.1");
}

TEST_CASE("The usual order of steps, and no step at all, make sense", "[compress]") {
  CHECK_NOTHROW(validate(Recipe{}));
  CHECK_NOTHROW(validate(Recipe{{KeepBestParts{}, FineTune{}, PruneGradually{}, FineTune{}, Quantize{}}}));
  CHECK_NOTHROW(validate(Recipe{{NewStudent{}, FineTune{}, TrainQuantized{}}}));
  CHECK_NOTHROW(validate(Recipe{{NewStudent{}, TrainSparse{}, FineTune{}, Quantize{}}}));
  CHECK(name_of(PruneGradually{}) == "prune gradually");
  CHECK(name_of(TrainSparse{}) == "train sparse");
  CHECK(name_of(Quantize{}) == "quantize");
  CHECK(name_of(TrainQuantized{}) == "train quantized");
}
