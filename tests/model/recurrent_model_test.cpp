// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/recurrent_model.hpp>

#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/largest_magnitude.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(Trainable<RecurrentModel<float>> && Streaming<RecurrentModel<float>>);

namespace {

constexpr RecurrentConfig small_recurrence{
    .width = 6, .layer_count = 2, .state_size = 5, .hidden = 9, .longest_memory = 20};

StepLayout recurrent_layout() {
  return {.observation_space = MultiDiscrete{{3, 2}}, .action_space = Box{{-1, -2}, {1, 2}}};
}

std::vector<float> recurrent_rows(const StepLayout& layout, int steps, Rng& rng) {
  const auto size = static_cast<std::size_t>(layout.feature_count());
  std::vector<float> rows(size * static_cast<std::size_t>(steps)), observation(2), action(2);
  for (int t = 0; t < steps; ++t) {
    sample(layout.observation_space, rng, observation);
    sample(layout.action_space, rng, action);
    layout.write(std::span{rows}.subspan(size * static_cast<std::size_t>(t), size), observation, action,
                 static_cast<float>(rng.uniform()), t == 0 ? StepFlag::episode_start | StepFlag::no_previous : 0);
  }
  return rows;
}

}  // namespace

TEST_CASE("The recurrent model's backward matches finite differences", "[model][gradient]") {
  const StepLayout layout = recurrent_layout();
  RecurrentModel<double> model{small_recurrence, layout};
  Rng rng{3};
  randomise(model, rng);
  CHECK(RecurrentModel<double>::weight_count(small_recurrence, layout) == parameter_count(model));
  const std::vector<float> rows = recurrent_rows(layout, 11, rng);
  const Matrix<double> doutputs = random_matrix(11, 4, rng);
  RecurrentModel<double>::Cache cache;
  Matrix<double> outputs(11, 4);
  const auto loss = [&] {
    model.forward(rows, 11, cache, outputs);
    return outputs.cwiseProduct(doutputs).sum();
  };
  loss();
  RecurrentModel<double> grad = model;
  set_zero(grad);
  model.backward(rows, 11, doutputs, cache, grad);
  const auto [error, name] = worst_parameter_error(model, grad, loss);
  INFO("worst tensor: " << name);
  CHECK(error < 1e-8);
}

TEST_CASE("The recurrent model streams what it gives over the window, whatever streams beside it", "[model]") {
  const StepLayout layout = recurrent_layout();
  RecurrentModel<double> model{small_recurrence, layout};
  Rng rng{5};
  model.initialize(rng);
  constexpr int steps = 60;
  const std::vector<float> rows = recurrent_rows(layout, steps, rng), others = recurrent_rows(layout, steps, rng);
  RecurrentModel<double>::Cache cache;
  Matrix<double> whole(steps, 4), outputs(2, 4);
  model.forward(rows, steps, cache, whole);

  auto states = model.make_states(2);
  RecurrentModel<double>::StreamWorkspace workspace;
  model.reserve(workspace, 2);
  std::int64_t allocations = 0;
  for (int t = 0; t < steps; ++t) {
    const int offset = t * layout.feature_count();
    const StreamInput<RecurrentModel<double>::State> inputs[] = {{&states[0], others.data() + offset, false},
                                                                 {&states[1], rows.data() + offset}};
    outputs.setConstant(7);
    const AllocationCount count;
    model.step(inputs, workspace, outputs);
    allocations += count.count();
    CHECK(largest_magnitude(outputs.row(1) - whole.row(t)) < 1e-12);
    CHECK((outputs.row(0).array() == 7.0).all());
  }
  CHECK(states[1].length() == steps);
  if (AllocationCount::is_available()) CHECK(allocations == 0);
}

TEST_CASE("A recurrent state is saved, restored and checked", "[model]") {
  const StepLayout layout = recurrent_layout();
  const RecurrentModel<float> model{small_recurrence, layout};
  auto state = model.make_states(1).front();
  ByteWriter out;
  state.save(out);
  std::vector<std::byte> bytes(out.bytes().begin(), out.bytes().end());
  {
    ByteReader in{bytes, "state"};
    state.restore(in);
    in.check_end();
  }
  bytes.back() = bytes[bytes.size() - 2] = std::byte{0xff};
  ByteReader in{bytes, "state"};
  CHECK(has(error_of([&] { state.restore(in); }), "state: number 9 of a state is"));
}

TEST_CASE("A recurrent model of impossible sizes is refused", "[model]") {
  CHECK(has(error_of([] { validate(RecurrentConfig{.state_size = 0}); }), "recurrent model: state_size is 0"));
}
