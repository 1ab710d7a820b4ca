// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/function_ref.hpp>

#include <memory>
#include <type_traits>

#include "support/catch.hpp"

using namespace icrl;

namespace {

int twice(int number) { return 2 * number; }
int apply(FunctionRef<int(int)> function, int number) { return function(number); }

}  // namespace

TEST_CASE("A FunctionRef calls what it refers to: a lambda, a constant one, a function", "[core]") {
  int sum = 0;
  auto add = [&](int number) { return sum += number; };
  const auto negate = [](int number) { return -number; };

  CHECK(apply(add, 2) == 2);
  CHECK(apply(add, 3) == 5);
  CHECK(sum == 5);
  CHECK(apply(negate, 4) == -4);
  CHECK(apply(twice, 4) == 8);
  CHECK(apply([count = 0](int number) mutable { return number + ++count; }, 1) == 2);
}

TEST_CASE("A copy of a FunctionRef refers to the same function", "[core]") {
  int calls = 0;
  auto count = [&] { ++calls; };
  const FunctionRef<void()> one{count}, other{one};

  one();
  other();

  CHECK(calls == 2);
}

TEST_CASE("What a callable returns may be dropped", "[core]") {
  int sum = 0;
  auto add = [&](int number) { return sum += number; };
  const FunctionRef<void(int)> function{add};

  function(3);

  CHECK(sum == 3);
}

TEST_CASE("Arguments that can only be moved are handed on", "[core]") {
  auto value_of = [](std::unique_ptr<int> number) { return *number; };
  const FunctionRef<int(std::unique_ptr<int>)> function{value_of};

  CHECK(function(std::make_unique<int>(7)) == 7);
  static_assert(!std::is_constructible_v<FunctionRef<int(int)>, int>);
}
