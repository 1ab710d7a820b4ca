// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/step_stream.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

using Row = std::vector<float>;

/// The row before the next action.
Row seen(const StepStream& stream, float observation) {
  Row row(static_cast<std::size_t>(stream.layout().feature_count()));
  stream.observe(std::array{observation}, row);
  return row;
}

}  // namespace

TEST_CASE("A stream begins without a past and then carries the last action and reward", "[history]") {
  StepStream stream{{Discrete{9}, Discrete{5}}};
  CHECK(stream.at_episode_start());
  CHECK(seen(stream, 3) == Row{3, 5, 0, StepFlag::episode_start + StepFlag::no_previous});

  stream.record(std::array{2.0f}, 0.5f, false);

  CHECK_FALSE(stream.at_episode_start());
  CHECK(seen(stream, 4) == Row{4, 2, 0.5f, 0});
}

TEST_CASE("Without a closing token the end of an episode is carried into the next", "[history]") {
  StepStream stream{{Discrete{9}, Discrete{5}}};

  stream.record(std::array{2.0f}, 1.0f, true);

  CHECK(stream.at_episode_start());
  CHECK(seen(stream, 0) == Row{0, 2, 1, StepFlag::episode_start});
}

TEST_CASE("With a closing token the closing row holds the end of an episode", "[history]") {
  StepStream stream{{Discrete{9}, Discrete{5}, true}};
  stream.record(std::array{2.0f}, 1.0f, true);
  Row closing(4);

  stream.close(std::array{8.0f}, closing);

  CHECK(closing == Row{8, 2, 1, StepFlag::closing});
  CHECK(seen(stream, 0) == Row{0, 5, 0, StepFlag::episode_start + StepFlag::no_previous});
}

TEST_CASE("Observing does not change a stream", "[history]") {
  StepStream stream{{Discrete{9}, Discrete{5}}};
  stream.record(std::array{2.0f}, 1.0f, false);

  CHECK(seen(stream, 1) == seen(stream, 1));
}

TEST_CASE("A restored stream goes on as the one it was taken from", "[history]") {
  const StepLayout layout{Discrete{9}, Box{{-1, -1}, {1, 1}}};
  StepStream stream{layout}, restored{layout};
  stream.record(std::array{0.25f, -0.5f}, 2.0f, false);

  restored.restore(stream.state());

  CHECK(seen(restored, 6) == seen(stream, 6));
  CHECK(restored.state() == stream.state());
}

TEST_CASE("A stream that is reset knows no past", "[history]") {
  StepStream stream{{Discrete{9}, Discrete{5}}};
  stream.record(std::array{2.0f}, 1.0f, false);

  stream.reset();

  CHECK(stream.state() == StepStream{stream.layout()}.state());
}
