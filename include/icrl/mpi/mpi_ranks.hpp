// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>

#include <mpi.h>

#include <icrl/core/fail.hpp>
#include <icrl/train/ranks.hpp>

// Not part of icrl.hpp: nobody who trains with one process needs mpi.h. Link icrl::mpi.
namespace icrl {

/// Initializes MPI, and finalizes it when destroyed. Make it the first object of a program that trains on several
/// machines. If an exception destroys it, it aborts all ranks, because the others would wait forever.
class MpiSession {
public:
  /// Throws Error where MPI does not start.
  MpiSession(int& argument_count, char**& arguments) {
    int level = 0;
    if (MPI_Init_thread(&argument_count, &arguments, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS)
      fail("MPI: cannot be initialized (was the program started by mpirun?)");
    if (level < MPI_THREAD_FUNNELED) {
      MPI_Finalize();
      fail("MPI: does not allow threads other than the one that communicates (thread support level {})", level);
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  ~MpiSession() {
    if (std::uncaught_exceptions() > exceptions_) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
  }

  /// Aborts all ranks. For a rank that cannot continue, because the others would wait for it forever.
  [[noreturn]] static void abort() {
    MPI_Abort(MPI_COMM_WORLD, 1);
    std::abort();
  }

private:
  int exceptions_ = std::uncaught_exceptions();
};

/// The processes of an MPI job as ranks. Needs an MpiSession. Calls come from one thread at a time.
class MpiRanks {
public:
  MpiRanks() {
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "this rank is not known");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "the number of ranks is not known");
  }

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  /// Both wait for the other rank, and throw Error if MPI reports an error.
  void send(std::span<const std::byte> bytes, int to) const {
    for_each_piece(bytes.size(), [&](std::size_t first, int count) {
      if (const int status = MPI_Send(bytes.data() + first, count, MPI_BYTE, to, tag, MPI_COMM_WORLD);
          status != MPI_SUCCESS)
        check(status, fmt::format("rank {} could not send {} bytes to rank {}", rank_, count, to));
    });
  }
  /// Fills `bytes` with what rank `from` sends to this one, in the order of its calls.
  void receive(std::span<std::byte> bytes, int from) const {
    for_each_piece(bytes.size(), [&](std::size_t first, int count) {
      if (const int status =
              MPI_Recv(bytes.data() + first, count, MPI_BYTE, from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
          status != MPI_SUCCESS)
        check(status, fmt::format("rank {} could not receive {} bytes from rank {}", rank_, count, from));
    });
  }

private:
  static constexpr int tag = 1;
  static constexpr std::size_t max_piece = std::size_t{1} << 30;  // counts of MPI are ints

  template <typename Visit>
  static void for_each_piece(std::size_t size, Visit&& visit) {
    for (std::size_t first = 0; first < size; first += max_piece)
      visit(first, static_cast<int>(std::min(max_piece, size - first)));
  }

  static void check(int status, const std::string& what) {
    if (status == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(status, text, &length);
    fail("MPI: {}: {}", what, std::string(text, static_cast<std::size_t>(length)));
  }

  int rank_ = 0, size_ = 1;
};
static_assert(Ranks<MpiRanks>);

}  // namespace icrl
