// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include <icrl/env/task_family.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/io/json.hpp>

namespace example {

[[nodiscard]] inline icrl::Json to_json(const icrl::LearningCurves& curves) {
  icrl::Json returns = icrl::Json::array();
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run)
      returns.push_back(std::vector<double>(curves.returns(task, run).begin(), curves.returns(task, run).end()));
  return {{"tasks", std::vector<int>(curves.tasks().begin(), curves.tasks().end())},
          {"runs", curves.run_count()},
          {"returns", returns}};
}

/// Throws Error, which begins with `what`, for tasks that the family does not have and for runs of different lengths.
template <icrl::TaskFamily F>
[[nodiscard]] icrl::LearningCurves curves_from_json(const icrl::Json& json, const F& family, std::string_view what) {
  const icrl::Json& returns = json.at("returns");
  const auto tasks = json.at("tasks").get<std::vector<int>>();
  const int runs = json.at("runs").get<int>();
  icrl::check_tasks(family, tasks, what);
  if (tasks.empty() || runs < 1 || returns.size() != tasks.size() * static_cast<std::size_t>(runs)) {
    icrl::fail("{}: curves of {} tasks and {} runs per task, but returns of {} runs", what, tasks.size(), runs,
               returns.size());
  }
  icrl::LearningCurves curves{tasks, runs, static_cast<int>(returns.at(0).size())};
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run) {
      const auto values =
          returns.at(static_cast<std::size_t>(task * curves.run_count() + run)).template get<std::vector<double>>();
      if (values.size() != curves.returns(task, run).size()) {
        icrl::fail("{}: run {} of task {} has {} returns, the first has {}", what, run, task, values.size(),
                   curves.episode_count());
      }
      std::copy(values.begin(), values.end(), curves.returns(task, run).begin());
    }
  return curves;
}

}  // namespace example
