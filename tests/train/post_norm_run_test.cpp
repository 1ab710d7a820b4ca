// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/post_norm_transformer.hpp>

#include <icrl/train/distil.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

// Runs of a post-norm transformer.
namespace {

using PostNormOfRun = PostNormTransformer<float>;

PostNormOfRun fresh_post_norm(const SmallRun& run) {
  PostNormOfRun model{run.shape, run.layout};
  Rng rng{1};
  model.initialize(rng);
  return model;
}

}  // namespace

TEST_CASE("A post-norm transformer learns, also with the paper's masks and dropout", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(80);
  for (const bool is_regular : {false, true}) {
    if (is_regular) {
      config.token_mask = 0.3;
      config.dropout = {.embedding = 0.1, .residual = 0.1, .attention = 0.5};
    }
    auto model = fresh_post_norm(run);
    DistilTrainer trainer{model, run.sampler, config};
    CHECK(trainer.config().products == Products::full);
    const double first = trainer.step().loss;
    double last = first;
    for (int i = 1; i < 80; ++i) {
      const AllocationCount allocations;
      last = trainer.step().loss;
      CHECK(allocations.count() == 0);
    }
    CHECK(last < 0.97 * first);
  }
}

TEST_CASE("A run of a post-norm transformer is resumed to the same bits, not by a pre-norm one", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(10);
  auto whole = fresh_post_norm(run), halved = fresh_post_norm(run);
  DistilTrainer trainer{whole, run.sampler, config};
  for (int i = 0; i < 4; ++i) trainer.step();
  trainer.save(folder / "run.ckpt");
  for (int i = 4; i < 10; ++i) trainer.step();
  config.thread_count = 2;
  DistilTrainer resumed{halved, run.sampler, config};

  resumed.restore(folder / "run.ckpt");
  for (int i = 4; i < 10; ++i) resumed.step();

  CHECK(have_equal_bits(halved, whole));
  config.products = Products::full;
  auto plain = run.model();
  DistilTrainer other{plain, run.sampler, config};
  CHECK(has(error_of([&] { other.restore(folder / "run.ckpt"); }), "belongs to another model (post_norm_transformer"));
}

TEST_CASE("A post-norm transformer does not multiply in bfloat16", "[train]") {
  const SmallRun run;
  auto model = fresh_post_norm(run);
  DistilConfig config = small_distil(2);
  config.products = Products::bfloat16;
  CHECK(has(error_of([&] { DistilTrainer{model, run.sampler, config}; }), "this model cannot multiply in bfloat16"));
}
