// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <icrl/core/fail.hpp>

namespace icrl::bench {

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The value below which `share` of the values lie; 0.5 is the median. `values` must not be empty.
inline double quantile(std::vector<double> values, double share) {
  const auto last = static_cast<double>(values.size() - 1);
  const auto position = values.begin() + static_cast<std::ptrdiff_t>(share * last + 0.5);
  std::nth_element(values.begin(), position, values.end());
  return *position;
}

template <typename Work>
double seconds_of(Work&& work) {
  const double start = now_seconds();
  work();
  return now_seconds() - start;
}

/// Calls `work` for about `seconds`, at least three times after one call to warm up; seconds of each call.
template <typename Work>
std::vector<double> time_calls(double seconds, Work&& work) {
  work();
  std::vector<double> times;
  for (const double end = now_seconds() + seconds; times.size() < 3 || now_seconds() < end;)
    times.push_back(seconds_of(work));
  return times;
}

/// Two kinds of work, each of which returns its own seconds, in turns for about `seconds`, at least three times each
/// after one call to warm up, so that both see the same machine; the medians.
template <typename First, typename Second>
std::pair<double, double> time_in_turns(double seconds, First&& first, Second&& second) {
  first();
  second();
  std::vector<double> firsts, others;
  for (const double end = now_seconds() + seconds; firsts.size() < 3 || now_seconds() < end;) {
    firsts.push_back(first());
    others.push_back(second());
  }
  return {quantile(firsts, 0.5), quantile(others, 0.5)};
}

/// One measured figure, printed as one line of JSON: what report.cpp reads, from the peers as well.
struct Figure {
  std::string name;  ///< what was measured, e.g. train_d64_L4_H4_T80_B128
  double value;      ///< the median
  std::string unit;  ///< "…/s" means that more is better, anything else that less is
  std::vector<std::pair<std::string, double>> details = {};
  std::string who = "icrl";
};

inline void print(const Figure& figure) {
  std::string line = fmt::format(R"({{"name": "{}", "who": "{}", "value": {:.6g}, "unit": "{}")", figure.name,
                                 figure.who, figure.value, figure.unit);
  for (const auto& [name, value] : figure.details) line += fmt::format(R"(, "{}": {:.6g})", name, value);
  if (std::puts((line + "}").c_str()) < 0 || std::fflush(stdout) != 0) fail("{} cannot be written", figure.name);
}

}  // namespace icrl::bench
