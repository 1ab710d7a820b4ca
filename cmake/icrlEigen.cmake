# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Sets icrl_eigen_version to the version to ask find_package for: that of the first Eigen on the search path that serves,
# which is 3.4 or newer. Eigen's packages call only their own major version compatible and refuse ranges across majors,
# so each has to be asked for by its own number.
set(icrl_eigen_folder "${Eigen3_DIR}")
find_package(Eigen3 0 EXACT QUIET NO_MODULE)  # takes none, and tells which there are
if(icrl_eigen_folder)  # a search that takes none forgets where the user said that Eigen is
  set(Eigen3_DIR "${icrl_eigen_folder}" CACHE PATH "Where Eigen3Config.cmake is" FORCE)
endif()
set(icrl_eigen_version 3.4)
foreach(version IN LISTS Eigen3_CONSIDERED_VERSIONS)
  if(version VERSION_GREATER_EQUAL 3.4)
    set(icrl_eigen_version ${version})
    break()
  endif()
endforeach()
