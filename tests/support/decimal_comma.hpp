// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <clocale>
#include <locale>
#include <string>

namespace icrl::test {

/// While it lives the program runs in a country that writes 1.234,5: C++ streams always, C functions where the machine
/// has such a locale.
class DecimalComma {
public:
  DecimalComma() : before_c_{std::setlocale(LC_ALL, nullptr)} {
    static Punctuation punctuation{1};
    before_ = std::locale::global(std::locale{std::locale::classic(), &punctuation});
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "de_DE"})
      if (std::setlocale(LC_ALL, name) != nullptr) break;
  }
  ~DecimalComma() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, before_c_.c_str());
  }
  DecimalComma(const DecimalComma&) = delete;
  DecimalComma& operator=(const DecimalComma&) = delete;

private:
  struct Punctuation : std::numpunct<char> {
    using std::numpunct<char>::numpunct;
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };

  std::string before_c_;
  std::locale before_;
};

}  // namespace icrl::test
