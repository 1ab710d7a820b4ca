// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>

namespace icrl {

/// The processes that train one model together, each with a share of every batch. `send` and `receive` hand a run of
/// bytes from one rank to another, in order; both may wait, and throw if the other rank has ended. All communication
/// uses these two functions, along fixed trees, so that results are bit-identical for any number of ranks.
template <typename R>
concept Ranks = requires(R& ranks, std::span<const std::byte> out, std::span<std::byte> in) {
  { ranks.rank() } -> std::convertible_to<int>;
  { ranks.size() } -> std::convertible_to<int>;
  ranks.send(out, /*to*/ 0);
  ranks.receive(in, /*from*/ 0);
};

/// A single process.
struct OneRank {
  static constexpr int rank() { return 0; }
  static constexpr int size() { return 1; }
  /// A precondition violation, like `receive`, because there is no other process.
  static void send(std::span<const std::byte>, int) { ICRL_ASSERT(false, "OneRank::send: there is no other rank"); }
  /// A precondition violation.
  static void receive(std::span<std::byte>, int) { ICRL_ASSERT(false, "OneRank::receive: there is no other rank"); }
};
static_assert(Ranks<OneRank>);

/// Copies the `numbers` of rank 0 to all ranks.
template <Ranks R, typename T>
void broadcast_from_first(R& ranks, std::span<T> numbers) {
  int reach = 1;  // ranks below it have the numbers
  for (; reach < ranks.size(); reach *= 2) {
    const int partner = ranks.rank() ^ reach;
    if (ranks.rank() < reach && partner < ranks.size()) ranks.send(std::as_bytes(numbers), partner);
    if (ranks.rank() >= reach && ranks.rank() < 2 * reach) ranks.receive(std::as_writable_bytes(numbers), partner);
  }
}

/// Sums the numbers of all ranks by a tree: rank 2i + 1 is added to rank 2i, then 4i + 2 to 4i, and so on.
/// GradientSlots sums its slots in the same order. All ranks hold the sum afterwards. `work` is memory for as many
/// numbers.
template <Ranks R, typename S>
void sum_over_ranks(R& ranks, std::span<S> numbers, std::vector<S>& work) {
  work.resize(numbers.size());
  for (int stride = 1; stride < ranks.size(); stride *= 2) {
    if (ranks.rank() % (2 * stride) == stride) {
      ranks.send(std::as_bytes(std::span<const S>{numbers}), ranks.rank() - stride);
      break;
    }
    if (ranks.rank() + stride >= ranks.size()) continue;
    ranks.receive(std::as_writable_bytes(std::span{work}), ranks.rank() + stride);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] += work[i];
  }
  broadcast_from_first(ranks, numbers);
}

/// Fills `all`, which has `size()` runs as long as `mine`, with the runs of all ranks in their order.
template <Ranks R, typename T>
void gather_from_ranks(R& ranks, std::span<const T> mine, std::span<T> all) {
  const auto run = [&](int rank) { return all.subspan(mine.size() * static_cast<std::size_t>(rank), mine.size()); };
  if (ranks.rank() != 0) {
    ranks.send(std::as_bytes(mine), 0);
  } else {
    std::copy(mine.begin(), mine.end(), run(0).begin());
    for (int other = 1; other < ranks.size(); ++other) ranks.receive(std::as_writable_bytes(run(other)), other);
  }
  broadcast_from_first(ranks, all);
}

/// The tasks that this rank collects: number rank, rank + size, rank + 2 size, ... of the list.
template <Ranks R>
[[nodiscard]] std::vector<int> tasks_of_rank(const R& ranks, std::span<const int> tasks) {
  std::vector<int> mine;
  for (std::size_t i = static_cast<std::size_t>(ranks.rank()); i < tasks.size();
       i += static_cast<std::size_t>(ranks.size()))
    mine.push_back(tasks[i]);
  return mine;
}

}  // namespace icrl
