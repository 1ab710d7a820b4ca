// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/matrix.hpp>

double sum_of(const icrl::Matrix<double>& m);

int main() { return sum_of(icrl::Matrix<double>::Ones(3, 4)) == 12 ? 0 : 1; }
