// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// The roof: GFLOP/s of matrix products (rows x inner) (inner x columns) in float, by each library that was found at
// build time, on all asked-for cores at once, each core busy with products of its own that stay in its cache.
//
//   gemm NAME ROWS COLUMNS INNER [--threads 2] [--seconds 1]
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#ifdef ICRL_BENCH_OPENBLAS
#include <cblas.h>
#endif
#ifdef ICRL_BENCH_ONEDNN
#include <dnnl.h>
#endif

#include <icrl/math/matrix.hpp>

#include "support/measurement.hpp"

using namespace icrl::bench;

namespace {

using Matrix = icrl::Matrix<float>;

struct Operands {
  Matrix a, b, c;
  Operands(int rows, int columns, int inner)
      : a{Matrix::Random(rows, inner)}, b{Matrix::Random(inner, columns)}, c{Matrix::Zero(rows, columns)} {}
};

/// Sum over the threads of each one's rate, all running at the same time for `seconds`.
template <typename Product>
double total_rate(int rows, int columns, int inner, int threads, double seconds, Product product) {
  const double flop = 2.0 * rows * columns * inner;
  const int repeat = std::max(1, static_cast<int>(1e8 / flop));
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::atomic<int> ready{0};
  const auto work = [&](double& rate) {
    const auto operands = std::make_unique<Operands>(rows, columns, inner);
    for (ready += 1; ready < threads;) std::this_thread::yield();
    const auto times = time_calls(seconds, [&] {
      for (int i = 0; i < repeat; ++i) product(*operands);
    });
    rate = repeat * flop / quantile(times, 0.5) / 1e9;
  };
  std::vector<std::thread> workers;
  for (double& rate : rates) workers.emplace_back([&] { work(rate); });
  double total = 0;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    workers[i].join();
    total += rates[i];
  }
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  std::string name;
  int rows = 80, columns = 256, inner = 64, threads = 2;
  double seconds = 1;
  CLI::App app{"Measures the matrix product roof of this machine"};
  app.add_option("name", name, "name of the measurement")->required();
  app.add_option("rows", rows)->required()->check(CLI::PositiveNumber);
  app.add_option("columns", columns)->required()->check(CLI::PositiveNumber);
  app.add_option("inner", inner)->required()->check(CLI::PositiveNumber);
  app.add_option("--threads", threads)->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  const auto measure = [&](const std::string& library, auto product) {
    const double rate = total_rate(rows, columns, inner, threads, seconds, product);
    print({.name = name, .value = rate, .unit = "GFLOP/s", .who = "roof " + library});
  };
  measure("Eigen", [](Operands& x) { x.c.noalias() = x.a * x.b; });
#ifdef ICRL_BENCH_OPENBLAS
  openblas_set_num_threads(1);
  measure("OpenBLAS", [=](Operands& x) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, columns, inner, 1.0f, x.a.data(), inner, x.b.data(),
                columns, 0.0f, x.c.data(), columns);
  });
#endif
#ifdef ICRL_BENCH_ONEDNN
  measure("oneDNN", [=](Operands& x) {
    dnnl_sgemm('N', 'N', rows, columns, inner, 1.0f, x.a.data(), inner, x.b.data(), columns, 0.0f, x.c.data(), columns);
  });
#endif
}
