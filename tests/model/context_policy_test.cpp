// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/context_policy.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr ContextPolicy at_episodes{.max_length = 9, .window_start = WindowStart::episode, .context_count = 2};
constexpr ContextPolicy anywhere{.max_length = 9, .window_start = WindowStart::anywhere, .context_count = 2};
constexpr ContextPolicy endless{};

}  // namespace

TEST_CASE("A context opens at an episode start once the youngest has its share, rounded up", "[model]") {
  CHECK_FALSE(at_episodes.has_share(4));
  CHECK(at_episodes.has_share(5));

  CHECK_FALSE(at_episodes.opens_at(StepFlag::episode_start, 1, 4));
  CHECK(at_episodes.opens_at(StepFlag::episode_start, 1, 5));
  CHECK_FALSE(at_episodes.opens_at(0, 1, 5));
  CHECK_FALSE(at_episodes.opens_at(StepFlag::episode_start, 2, 5));  // all are open
}

TEST_CASE("Where windows start anywhere, a context opens at any row but a closing one", "[model]") {
  CHECK_FALSE(anywhere.opens_at(0, 1, 4));
  CHECK(anywhere.opens_at(0, 1, 5));
  CHECK_FALSE(anywhere.opens_at(StepFlag::closing, 1, 5));

  for (const ContextPolicy& policy : {at_episodes, anywhere, endless}) {
    CHECK(policy.opens_at(StepFlag::episode_start | StepFlag::no_previous, 0, 0));
    CHECK_FALSE(policy.opens_at(StepFlag::closing, 0, 0));
  }
}

TEST_CASE("A context is full at its length; one of an unlimited stream never is, and no second one opens", "[model]") {
  CHECK_FALSE(at_episodes.is_full(8));
  CHECK(at_episodes.is_full(9));

  constexpr std::int64_t long_ago = std::int64_t{1} << 60;
  CHECK_FALSE(endless.is_full(long_ago));
  CHECK_FALSE(endless.opens_at(StepFlag::episode_start, 1, long_ago));
  CHECK(endless.starts_anywhere());
  CHECK(ContextPolicy{.window_start = WindowStart::episode}.starts_anywhere());
}

TEST_CASE("Numbers of contexts that no stream can have are refused", "[model]") {
  const auto refusal = [](const ContextPolicy& policy) { return error_of([&] { validate(policy); }); };

  CHECK(refusal(at_episodes).empty());
  CHECK(refusal(endless).empty());
  CHECK(refusal({.max_length = 9, .context_count = 1}).empty());
  CHECK(has(refusal({.max_length = 9, .context_count = 0}), "context_count is 0, it must lie in 1 .. 1024"));
  CHECK(has(refusal({.max_length = 9, .context_count = 1025}), "context_count is 1025, it must lie in 1 .. 1024"));
  CHECK(has(refusal({.max_length = 9, .window_start = WindowStart::episode, .context_count = 1}),
            "context_count is 1, it must lie in 2 .. 1024 for windows that start at episode starts"));
  CHECK(has(refusal({.context_count = 2}), "context_count is 2, it must lie in 1 .. 1"));
}
