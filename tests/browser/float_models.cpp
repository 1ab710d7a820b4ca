// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// What the page's compiler and flags made of float models, beside plain arithmetic.
#include <cstdio>
#include <exception>

#include <icrl/model/self_test.hpp>

int main() {
  try {
    icrl::self_test();
    std::puts("self-test: passed");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
