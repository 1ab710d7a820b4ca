// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/io/json.hpp>
#include <icrl/train/metrics.hpp>

#include "fuzz/target.hpp"

namespace icrl::fuzz {

/// A metrics file that an interrupted run has left: what stands in it is kept, and new lines are lines of their own.
struct MetricsTarget {
  [[nodiscard]] static DistilMetrics metrics(Rng& rng) {
    return {.update = rng.below(1000), .tokens = rng.below(1000), .loss = rng.normal(), .seconds = rng.uniform()};
  }

  [[nodiscard]] static Bytes make(Choices, Rng& rng) {
    std::string text;
    for (int line = rng.below(4); line >= 0; --line) text += to_json(metrics(rng)) + "\n";
    text.resize(text.size() - static_cast<std::size_t>(rng.below(3)));
    return {text.begin(), text.end()};
  }

  static void run(Choices choices, const Bytes& file) {
    static MemoryFile memory;
    memory.write(file);
    Rng rng = choices.rng();
    const DistilMetrics added = metrics(rng);
    const int lines = 1 + choices.below(2);
    {
      MetricsFile metrics_file{memory.path()};
      for (int i = 0; i < lines; ++i) metrics_file.append(added);
    }
    const Bytes bytes = memory.read();
    require(bytes.size() > file.size() && std::equal(file.begin(), file.end(), bytes.begin()),
            "a metrics file keeps what it holds");
    std::string_view text{bytes.data(), bytes.size()};
    for (int i = 0; i < lines; ++i) {
      require(text.ends_with('\n'), "a line of metrics ends");
      text.remove_suffix(1);
      const std::size_t begin = text.find_last_of('\n') + 1;  // 0 in the first line
      const Json json = parse_json(text.substr(begin), "line of metrics");
      require(json.at("update") == added.update && json.at("loss") == added.loss, "a line of metrics is read back");
      text = text.substr(0, begin);
    }
  }
};
static_assert(Target<MetricsTarget>);

}  // namespace icrl::fuzz
