// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/staggered_contexts.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <icrl/history/step_stream.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/recomputation.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The contexts of a stream and a workspace to run them with.
template <typename M>
struct Stream {
  explicit Stream(const M& m, int context_count = 2)
      : model{m}, contexts{m, context_count}, outputs(context_count, m.actions.parameter_count()) {}

  /// Lets the contexts take a row; the acting one's outputs are then in row 0.
  void add(std::span<const float> row) {
    const int flags = static_cast<int>(row.back());
    contexts.check_capacity(flags);
    const int refill_count = contexts.prepare();
    for (int t = 0; t < refill_count; ++t) run({contexts.refill(t)});
    std::ranges::copy(row, contexts.next_row(flags).begin());
    inputs.clear();
    contexts.add_inputs(inputs);
    if (!inputs.empty()) run(inputs);
  }
  void run(const std::vector<StreamInput<typename M::State>>& some) {
    model.step(some, workspace, outputs.topRows(static_cast<Index>(some.size())));
    ++passes;
  }
  std::span<const typename M::Scalar> acting() const {
    return {outputs.data(), static_cast<std::size_t>(outputs.cols())};
  }

  const M& model;
  StaggeredContexts<M> contexts;
  typename M::StreamWorkspace workspace{};
  std::vector<StreamInput<typename M::State>> inputs{};
  Matrix<typename M::Scalar> outputs;
  int passes = 0;
};

/// Calls `use(row)` for all rows of a life, closing rows among them.
template <typename Use>
void for_each_row(const StepLayout& layout, const std::vector<FakeStep>& life, Use&& use) {
  StepStream stream{layout};
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));
  for (const FakeStep& step : life) {
    stream.observe(step.observation, row);
    use(row);
    stream.record(step.action, step.reward, step.is_last);
    if (!step.is_last || !layout.closing_token) continue;
    stream.close(step.next_observation, row);
    use(row);
  }
}

/// The largest difference between stream and recomputation over a life, and the least that was remembered once memory
/// was full.
struct Agreement {
  double difference = 0;
  int least_memory = 1 << 30;
  int steps = 0;
};
template <typename S>
Agreement compare(const TransformerConfig& config, const StepLayout& layout, int contexts, int step_count,
                  int longest_episode) {
  const auto model = small_model<S>(config, layout);
  Stream stream{model, contexts};
  Recomputation recomputation{model};
  Agreement result;
  for_each_row(layout, fake_life(layout, step_count, longest_episode, 5), [&](std::span<const float> row) {
    stream.add(row);
    recomputation.add(row);
    const int remembered = stream.contexts.acting_steps();
    if (++result.steps > config.context) result.least_memory = std::min(result.least_memory, remembered);
    if (remembered == 0) return;
    result.difference =
        worse_of(result.difference, difference<S>(recomputation.last_outputs(remembered), stream.acting()));
  });
  return result;
}

template <typename S>
void check_agreement(WindowStart start) {
  const bool is_free = start == WindowStart::anywhere;
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate})
    for (const PositionScheme positions : {PositionScheme::learned, PositionScheme::rotary})
      for (const bool closing_token : {false, true})
        for (const StepLayout& layout : {id_layout(closing_token), box_layout(closing_token)})
          for (const int context : {1, 2, 7, 16, 33}) {
            TransformerConfig config = small_config(context);
            config.tokens = tokens;
            config.positions = positions;
            config.window_start = start;
            for (const int contexts : {2, 3})
              for (const int longest_episode : {std::max(context / 4, 1), is_free ? 2 * context : context}) {
                INFO("context " << context << ", contexts " << contexts << ", episodes up to " << longest_episode
                                << ", separate " << (tokens == TokenScheme::separate) << ", rotary "
                                << (positions == PositionScheme::rotary) << ", closing " << closing_token);
                const Agreement agreement = compare<S>(config, layout, contexts, 10 * context, longest_episode);
                CHECK(agreement.difference <= streaming_tolerance<S>);
                const int share = (context + contexts - 1) / contexts;
                const int sure = context - share - (closing_token ? 1 : 0) - (is_free ? 0 : longest_episode);
                if (agreement.steps > context) CHECK(agreement.least_memory >= sure);
              }
          }
}

/// Steps that act after each row of episodes of the given lengths.
std::vector<int> acting_steps(const TransformerConfig& config, int contexts, const std::vector<int>& episodes) {
  const StepLayout layout = id_layout();
  const auto model = small_model(config, layout);
  Stream stream{model, contexts};
  std::vector<FakeStep> life;
  for (const int length : episodes)
    for (int t = 1; t <= length; ++t) life.push_back({{0, 0}, {0}, {0, 0}, 0, t == length});
  std::vector<int> steps;
  for_each_row(layout, life, [&](std::span<const float> row) {
    stream.add(row);
    steps.push_back(stream.contexts.acting_steps());
  });
  return steps;
}

}  // namespace

TEST_CASE("A stream ten times longer than the context equals recomputation at every step, in float",
          "[model][streaming][slow]") {
  check_agreement<float>(WindowStart::episode);
  check_agreement<float>(WindowStart::anywhere);
}

TEST_CASE("A stream ten times longer than the context equals recomputation at every step, in double",
          "[model][streaming][slow]") {
  check_agreement<double>(WindowStart::episode);
  check_agreement<double>(WindowStart::anywhere);
}

TEST_CASE("Episodes that divide the share keep memory above half a context", "[model][streaming]") {
  CHECK(acting_steps(small_config(8), 2, {4, 4, 4, 4}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8});
  CHECK(acting_steps(small_config(8), 2, {2, 2, 2, 2, 2, 2}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8});
  CHECK(acting_steps(small_config(9), 3, {3, 3, 3, 3, 3}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9, 7, 8, 9});
}

TEST_CASE("A context that is full while none is younger goes on with the last episode", "[model][streaming]") {
  // The second episode begins before the first context holds its share of 4 steps, and the context fills up within it
  // ...
  CHECK(acting_steps(small_config(8), 2, {3, 7, 2}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8, 2});
  // ... or as it ends ...
  CHECK(acting_steps(small_config(8), 2, {3, 5, 2}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 6, 7});
  // ... or the one that would have opened at step 7 was still in use.
  CHECK(acting_steps(small_config(8), 2, {4, 3, 8}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 6, 7, 8});
}

TEST_CASE("Windows that may start anywhere open at the share, whatever the episodes", "[model][streaming]") {
  TransformerConfig config = small_config(8);
  config.window_start = WindowStart::anywhere;

  CHECK(acting_steps(config, 2, {20}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8});
  CHECK(acting_steps(config, 1, {10}) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 1, 2});
}

TEST_CASE("An episode as long as the context fits and one that outgrows it is an error", "[model][streaming]") {
  CHECK(acting_steps(small_config(4), 2, {4, 4, 1}) == std::vector{1, 2, 3, 4, 1, 2, 3, 4, 1});

  const auto model = small_model(small_config(4), id_layout());
  Stream stream{model};
  StepStream rows{model.layout};
  std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
  const std::vector<float> observation{1, 2}, action{0};
  for (int t = 0; t < 4; ++t) {
    rows.observe(observation, row);
    stream.add(row);
    rows.record(action, 0, false);
  }
  rows.observe(observation, row);

  const std::string error = error_of([&] { stream.add(row); });
  CHECK(has(error, "outgrown the context of 4 steps"));
  CHECK(has(error, "WindowStart::anywhere"));

  CHECK(stream.contexts.acting_steps() == 4);
  stream.contexts.clear();
  CHECK(stream.contexts.acting_steps() == 0);
}

TEST_CASE("A closing row that no context has room for is dropped", "[model][streaming]") {
  const StepLayout layout = id_layout(true);
  const auto model = small_model(small_config(4), layout);
  Stream stream{model};
  std::vector<int> steps;

  for_each_row(layout, fake_life(layout, 1, 1, 3), [&](auto row) { stream.add(row); });
  CHECK(stream.contexts.acting_steps() == 2);
  stream.contexts.clear();
  std::vector<FakeStep> life(5, {{0, 0}, {0}, {0, 0}, 0, false});
  life[3].is_last = life[4].is_last = true;
  for_each_row(layout, life, [&](std::span<const float> row) {
    stream.add(row);
    steps.push_back(stream.contexts.acting_steps());
  });

  CHECK(steps == std::vector{1, 2, 3, 4, 0, 1, 2});
}

TEST_CASE("Windows from episode starts take two contexts or more, up to a thousand", "[model][streaming]") {
  const auto model = small_model(small_config(4), id_layout());

  CHECK(has(error_of([&] { StaggeredContexts{model, 1025}; }), "context_count is 1025"));
  CHECK(has(error_of([&] { StaggeredContexts{model, 1}; }), "context_count is 1, it must lie in 2 .. 1024"));
}

TEST_CASE("A restored memory goes on bit for bit", "[model][streaming]") {
  for (const bool closing_token : {false, true}) {
    const StepLayout layout = id_layout(closing_token);
    const auto model = small_model(small_config(9), layout);
    Stream stream{model, 3};
    Stream restored{model, 3};
    int step = 0;

    for_each_row(layout, fake_life(layout, 60, 9, 11), [&](std::span<const float> row) {
      ByteWriter out;
      stream.contexts.save(out);
      ByteReader in{out.bytes(), "memory"};
      restored.contexts.restore(in);
      in.check_end();
      stream.add(row);
      restored.add(row);
      INFO("step " << step++);
      REQUIRE(restored.contexts.acting_steps() == stream.contexts.acting_steps());
      if (stream.contexts.acting_steps() > 0) REQUIRE(std::ranges::equal(restored.acting(), stream.acting()));
    });
  }
}

TEST_CASE("Contexts that were opened one after another have lengths that fall", "[model][streaming]") {
  const auto model =
      small_model({.width = 2, .layer_count = 1, .head_count = 1, .hidden = 1, .context = 40}, id_layout());
  const std::vector<FakeStep> life = fake_life(model.layout, 60, 5, 1);
  const auto restored_with = [&](int elder, int younger) {
    Stream stream{model};
    const auto size = model.make_state().storage().size();
    ByteWriter bytes;
    for (const int number : {2, 2, elder}) bytes.value(number);
    bytes.values(std::span<const float>{std::vector<float>(size)});
    bytes.value(younger);
    bytes.values(std::span<const float>{std::vector<float>(size)});
    bytes.value(0);
    bytes.values(
        std::span<const float>{std::vector<float>(static_cast<std::size_t>(40 * model.layout.feature_count()))});
    ByteReader in{bytes.bytes(), "memory \"m\""};
    stream.contexts.restore(in);
    for_each_row(model.layout, life, [&](std::span<const float> row) { stream.add(row); });
  };

  CHECK(error_of([&] { restored_with(20, 19); }).empty());
  CHECK(error_of([&] { restored_with(40, 39); }).empty());
  CHECK(
      error_of([&] { restored_with(20, 20); }) ==
      "memory \"m\": context 1 holds 20 steps, but context 0, which was opened before it, holds 20: it must hold more");
  CHECK(has(error_of([&] { restored_with(20, 21); }), "context 1 holds 21 steps, but context 0"));
  CHECK(has(error_of([&] { restored_with(41, 20); }), "length of a context is 41, it must lie in 0 .. 40"));
}
