// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/matrix.hpp>

double sum_of(const icrl::Matrix<double>& m);

double sum_of(const icrl::Matrix<double>& m) { return m.sum(); }
