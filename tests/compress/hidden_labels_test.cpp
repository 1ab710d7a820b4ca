// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/hidden_labels.hpp>

#include <limits>

#include <icrl/train/distil.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr int teacher_width = 8;
template <typename S>
using Student = HintedTransformer<S, teacher_width>;
using Teacher = CausalTransformer<double>;
static_assert(Objective<HiddenLabels<Teacher>, Student<double>>);

template <typename S = double>
CausalTransformer<S> teacher_for(const SmallRun& run) {
  return small_model<S>({.width = teacher_width, .layer_count = 1, .head_count = 2, .context = 8}, run.layout, 9);
}

template <typename M>
M fresh_student(const SmallRun& run) {
  M student{run.shape, run.layout};
  Rng rng{3};
  for_each_parameter(
      [&](std::string_view, auto& tensor) {
        for (Index i = 0; i < tensor.size(); ++i)
          tensor.data()[i] += static_cast<typename M::Scalar>(0.3 * rng.normal());
      },
      student);
  return student;
}

ContextBatch windows_of(const SmallRun& run, int count) {
  ContextBatch batch;
  run.sampler.sample(count, Rng{2}, batch);
  return batch;
}

template <typename M, typename O>
double loss_of(const M& model, const O& objective, const ContextBatch& batch, M& grad) {
  WindowScratch<M, O> scratch;
  return window_loss(model, objective, batch, 0, scratch, grad);
}

struct HiddenLabelsObserver {};

}  // namespace

TEST_CASE("The gradients of hints and relations match finite differences", "[compress][gradient]") {
  const SmallRun run{{.width = 4, .layer_count = 1, .head_count = 2, .context = 5}, id_layout(true)};
  const Teacher teacher = teacher_for(run);
  for (const auto& [hint, relation] : {std::pair{0.7, 0.0}, {0.0, 1.3}, {0.5, 0.8}}) {
    auto student = fresh_student<Student<double>>(run);
    const HiddenLabels objective{teacher, {.labels = {.mix = 0.5}, .hint = hint, .relation = relation}};
    const ContextBatch batch = windows_of(run, 1);
    auto grad = student;
    set_zero(grad);
    auto unused = grad;
    (void)loss_of(student, objective, batch, grad);

    const auto [error, name] =
        worst_parameter_error(student, grad, [&] { return loss_of(student, objective, batch, unused); });

    INFO("hint " << hint << ", relation " << relation << ", worst tensor: " << name);
    CHECK(error < 1e-7);
  }
}

TEST_CASE("Without weights the loss is that of soft labels, and each weight adds to it", "[compress]") {
  const SmallRun run;
  const Teacher teacher = teacher_for(run);
  const auto student = fresh_student<Student<double>>(run);
  const ContextBatch batch = windows_of(run, 1);
  auto grad = student;
  const double soft = loss_of(student, SoftLabels{teacher}, batch, grad);
  const auto with = [&](double hint, double relation) {
    return loss_of(student, HiddenLabels{teacher, {.hint = hint, .relation = relation}}, batch, grad) - soft;
  };
  CHECK(with(0, 0) == 0);
  CHECK(with(1, 0) > 0);
  CHECK(with(2, 0) == Approx(2 * with(1, 0)));
  CHECK(with(0, 1) > 0);
  CHECK(with(1, 3) == Approx(with(1, 0) + 3 * with(0, 1)));
}

TEST_CASE("A student whose extra outputs are the teacher's hidden states loses nothing by them", "[compress]") {
  const SmallRun run;
  const Teacher teacher = teacher_for(run);
  const ContextBatch batch = windows_of(run, 1);
  const Index steps = batch.lengths[0];
  Teacher::Cache cache;
  Matrix<double> of_teacher(steps, teacher.actions.parameter_count());
  std::vector<float> rows;
  teacher.forward(batch.rows_of(0, rows), static_cast<int>(steps), cache, of_teacher);

  const auto student = fresh_student<Student<double>>(run);
  Matrix<double> outputs(steps, of_teacher.cols() + teacher_width), doutputs = outputs;
  outputs << of_teacher, cache.ends.normed.topRows(steps);
  const HiddenLabels objective{teacher, {.hint = 1, .relation = 1}};
  HiddenLabels<Teacher>::Scratch scratch;
  CHECK(std::abs(objective.loss(student, batch, 0, outputs, doutputs, scratch)) < 1e-12);
  CHECK(doutputs.cwiseAbs().maxCoeff() < 1e-12);
}

TEST_CASE("Training lowers the loss, and the student acts without its extra outputs as with them", "[compress]") {
  const SmallRun run;
  const auto teacher = teacher_for<float>(run);
  auto student = fresh_student<Student<float>>(run);
  const HiddenLabels objective{teacher, {.hint = 1, .relation = 0.5}};
  const ContextBatch batch = windows_of(run, 1);
  auto grad = student;
  const double before = loss_of(student, objective, batch, grad);
  distil(student, run.sampler, {.updates = 60, .batch = 8, .learning_rate = 1e-2, .warmup = 5}, HiddenLabelsObserver{},
         objective);
  CHECK(loss_of(student, objective, batch, grad) < 0.7 * before);

  const CausalTransformer<float> plain = without_extra_outputs(student);
  const int steps = batch.lengths[0];
  std::vector<float> rows;
  const auto features = batch.rows_of(0, rows);
  Matrix<float> all(steps, student.output_count()), few(steps, plain.output_count());
  Student<float>::Cache cache;
  CausalTransformer<float>::Cache plain_cache;
  student.forward(features, steps, cache, all);
  plain.forward(features, steps, plain_cache, few);
  CHECK(few == all.leftCols(few.cols()));
}

TEST_CASE("Once its memory has its size, an update with hidden labels allocates nothing", "[compress]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const SmallRun run;
  const auto teacher = teacher_for<float>(run);
  for (const Products products : {Products::full, Products::bfloat16}) {
    auto student = fresh_student<Student<float>>(run);
    const HiddenLabels labels{teacher, {.labels = {.products = products}, .hint = 1, .relation = 1}};
    DistilTrainer<Student<float>, HiddenLabels<CausalTransformer<float>>> trainer{student, run.sampler,
                                                                                  small_distil(20), labels};
    (void)trainer.step();
    for (int update = 1; update < 20; ++update) {
      const AllocationCount allocations;
      (void)trainer.step();
      REQUIRE(allocations.count() == 0);
    }
  }
}

TEST_CASE("Hidden labels refuse what has no extra outputs, or not enough of them, and wrong weights", "[compress]") {
  const SmallRun run;
  const Teacher teacher = teacher_for(run);
  const ContextBatch batch = windows_of(run, 1);
  const auto error_with = [&](auto student, const HiddenLabelConfig& config) {
    return error_of([&] {
      auto grad = student;
      (void)loss_of(student, HiddenLabels{teacher, config}, batch, grad);
    });
  };
  CHECK(error_with(run.model<double>(), {}) ==
        "hidden labels: the student has no extra outputs (it should be a HintedTransformer)");
  CHECK(error_with(fresh_student<HintedTransformer<double, 3>>(run), {}) ==
        "hidden labels: the student has 3 extra outputs, but the teacher's hidden states have 8 numbers");
  CHECK(error_with(fresh_student<HintedTransformer<double, 3>>(run), {.hint = 0, .relation = 1}).empty());
  CHECK(error_of([&] { validate(HiddenLabelConfig{.labels = {.mix = 0}}); }) ==
        "hidden labels: labels.mix is 0, but the teacher has to be run");
  CHECK(error_of([&] { validate(HiddenLabelConfig{.hint = std::numeric_limits<double>::quiet_NaN()}); }) ==
        "hidden labels: hint is nan and relation is 0, both must be finite and not negative");
  CHECK(error_of([&] { validate(HiddenLabelConfig{.relation = -1}); }).find("relation is -1") != std::string::npos);
}
