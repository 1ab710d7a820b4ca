// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <icrl/core/target.hpp>

namespace icrl {

/// A reference to a lambda or function, for parameters. It must not outlive what it refers to. A function that takes
/// one is compiled once instead of once per lambda and, unlike with std::function, nothing is copied or allocated.
template <typename Signature>
class FunctionRef;

/// For functions with these arguments and this result.
template <typename Result, typename... Arguments>
class FunctionRef<Result(Arguments...)> {
public:
  /// Refers to anything that can be called with these arguments, except another FunctionRef, which is copied.
  template <typename F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<Result, F&, Arguments...> &&
           !std::is_member_pointer_v<std::remove_cvref_t<F>>)
      FunctionRef(F&& function)  // NOLINT(google-explicit-constructor,bugprone-forwarding-reference-overload)
      : call_{[](void* target, Arguments... arguments) -> Result {
          auto& callee = *reinterpret_cast<std::remove_reference_t<F>*>(target);
          if constexpr (std::is_void_v<Result>) {
            callee(std::forward<Arguments>(arguments)...);
          } else {
            return callee(std::forward<Arguments>(arguments)...);
          }
        }} {
    if constexpr (std::is_function_v<std::remove_reference_t<F>>) {
      target_ = reinterpret_cast<void*>(&function);
    } else {
      target_ = const_cast<void*>(static_cast<const void*>(std::addressof(function)));
    }
  }

  /// Calls what it refers to.
  Result operator()(Arguments... arguments) const { return call_(target_, std::forward<Arguments>(arguments)...); }

private:
  void* target_;
  Result (*call_)(void*, Arguments...);
};

}  // namespace icrl
