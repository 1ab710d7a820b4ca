// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/concepts.hpp>

#include <vector>

#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "support/catch.hpp"
#include "support/leaky_accumulator.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Transformer = CausalTransformer<float>;
static_assert(Streaming<Transformer> && Trainable<Transformer> && HasWindowStart<Transformer>);
static_assert(Streaming<LeakyAccumulator> && !HasWindowStart<LeakyAccumulator>);
static_assert(StreamState<Transformer::State> && StreamState<LeakyAccumulator::State>);
static_assert(!StreamState<std::vector<float>>);

/// Runs `model` over the rows of `features` in one stream and returns what it said to each.
template <typename M>
std::vector<float> outputs_of(const M& model, typename M::State& state, std::span<const float> features) {
  typename M::StreamWorkspace workspace;
  Matrix<float> outputs(1, model.actions.parameter_count());
  std::vector<float> all;
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  for (std::size_t at = 0; at < features.size(); at += size) {
    const StreamInput<typename M::State> input{&state, features.data() + at};
    model.step({&input, 1}, workspace, outputs);
    all.insert(all.end(), outputs.data(), outputs.data() + outputs.size());
  }
  return all;
}

/// Rows of a made-up stream of one episode.
std::vector<float> some_rows(const StepLayout& layout, int count) {
  std::vector<float> rows;
  const auto life = fake_life(layout, count, count, 3);
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));
  for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
    layout.write(row, life[t].observation, life[t].action, life[t].reward, t == 0 ? 3 : 0);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

/// What a state promises: its length counts steps, clear forgets, copies are independent, what is saved comes back.
template <typename M>
void check_states(const M& model) {
  const std::vector<float> past = some_rows(model.layout, 5), future = some_rows(model.layout, 3);
  std::vector<typename M::State> states = model.make_states(2);
  typename M::State &state = states[0], &other = states[1];
  CHECK(state.length() == 0);
  (void)outputs_of(model, state, past);
  CHECK(state.length() == 5);
  CHECK(other.length() == 0);

  typename M::State copy = state;
  ByteWriter out;
  state.save(out);
  ByteReader in{out.bytes(), "state"};
  (void)outputs_of(model, other, future);
  other.restore(in);
  in.check_end();
  CHECK(other.length() == 5);

  const std::vector<float> said = outputs_of(model, state, future);
  CHECK(outputs_of(model, copy, future) == said);
  CHECK(outputs_of(model, other, future) == said);
  state.clear();
  CHECK(state.length() == 0);
  CHECK(outputs_of(model, state, future) != said);
}

}  // namespace

TEST_CASE("States of every streaming model count steps, forget, copy, and come back from bytes", "[model]") {
  check_states(small_model(small_config(8), id_layout()));
  check_states(LeakyAccumulator{id_layout()});
  RecurrentModel<float> recurrent{{.width = 8, .layer_count = 2, .state_size = 6, .hidden = 8}, id_layout()};
  Rng rng{1};
  recurrent.initialize(rng);
  check_states(recurrent);
}

TEST_CASE("A limited model says where its windows begin; one without a limit has no such thing", "[model]") {
  TransformerConfig config = small_config(8);
  const auto start = [&] { return window_start_of(Transformer{config, id_layout()}); };

  CHECK(start() == WindowStart::episode);
  config.window_start = WindowStart::anywhere;
  CHECK(start() == WindowStart::anywhere);
  CHECK(Transformer{config, id_layout()}.max_stream_length() == 8);
  CHECK(Transformer{config, id_layout()}.max_window() == 8);
  CHECK_FALSE(LeakyAccumulator{id_layout()}.max_stream_length());
  CHECK(window_start_of(LeakyAccumulator{id_layout()}) == WindowStart::anywhere);
}
