# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installed packages come first; the network is asked only for what is missing.
include(FetchContent)

include(${CMAKE_CURRENT_LIST_DIR}/icrlEigen.cmake)
set(icrl_fetched Eigen3 fmt nlohmann_json)
FetchContent_Declare(Eigen3
  GIT_REPOSITORY https://gitlab.com/libeigen/eigen.git GIT_TAG 3.4.0 GIT_SHALLOW ON SYSTEM
  FIND_PACKAGE_ARGS ${icrl_eigen_version} NO_MODULE)
FetchContent_Declare(fmt
  GIT_REPOSITORY https://github.com/fmtlib/fmt.git GIT_TAG 10.2.1 GIT_SHALLOW ON SYSTEM
  FIND_PACKAGE_ARGS)
FetchContent_Declare(nlohmann_json
  GIT_REPOSITORY https://github.com/nlohmann/json.git GIT_TAG v3.11.3 GIT_SHALLOW ON SYSTEM
  FIND_PACKAGE_ARGS 3.9)
if(ICRL_BUILD_EXAMPLES OR ICRL_BUILD_BENCHMARKS)
  list(APPEND icrl_fetched CLI11)
  FetchContent_Declare(CLI11
    GIT_REPOSITORY https://github.com/CLIUtils/CLI11.git GIT_TAG v2.4.2 GIT_SHALLOW ON SYSTEM
    FIND_PACKAGE_ARGS)
endif()
if(ICRL_BUILD_TESTS)
  list(APPEND icrl_fetched Catch2)
  FetchContent_Declare(Catch2  # without a version: 2.13 and 3 both serve
    GIT_REPOSITORY https://github.com/catchorg/Catch2.git GIT_TAG v3.5.4 GIT_SHALLOW ON SYSTEM
    FIND_PACKAGE_ARGS)
endif()

# A function's scope, so that these answers reach the fetched projects and nobody else.
function(icrl_make_dependencies_available)
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  set(BUILD_TESTING OFF)
  set(EIGEN_BUILD_DOC OFF)
  set(EIGEN_BUILD_PKGCONFIG OFF)
  set(FMT_INSTALL ${ICRL_INSTALL})
  set(JSON_Install ${ICRL_INSTALL})
  set(JSON_BuildTests OFF)
  FetchContent_MakeAvailable(${icrl_fetched})
  set(Catch2_VERSION "${Catch2_VERSION}" PARENT_SCOPE)
endfunction()
icrl_make_dependencies_available()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
