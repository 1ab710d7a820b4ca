# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Sets icrl_eigen_version to the version to ask find_package for: that of the first Eigen on the search path that serves,
# which is 3.4 or newer. Eigen's packages call only their own major version compatible and refuse ranges across majors,
# so each has to be asked for by its own number.
find_package(Eigen3 0 EXACT QUIET NO_MODULE)  # takes none, and tells which there are
set(icrl_eigen_version 3.4)
foreach(version IN LISTS Eigen3_CONSIDERED_VERSIONS)
  if(version VERSION_GREATER_EQUAL 3.4)
    set(icrl_eigen_version ${version})
    break()
  endif()
endforeach()
