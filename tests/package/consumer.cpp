// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// A stranger's program. Its headers pull in Eigen, fmt and nlohmann/json, its one call needs fmt's library.
#include <icrl/core/error.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/run.hpp>

int main() {
  try {
    (void)icrl::read_model_info("there/is/no/such.safetensors");
  } catch (const icrl::Error&) {
    return 0;
  }
  return 1;
}
