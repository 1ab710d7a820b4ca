# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# What users link: headers and dependencies, no warnings, and a flag only where a program would crash without it.
file(GLOB_RECURSE icrl_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/icrl/*.hpp)
list(FILTER icrl_headers EXCLUDE REGEX /icrl/mpi/)  # these are icrl::mpi's

add_library(icrl INTERFACE)
add_library(icrl::icrl ALIAS icrl)
target_compile_features(icrl INTERFACE cxx_std_20)
target_sources(icrl INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${icrl_headers})
target_link_libraries(icrl INTERFACE
  Eigen3::Eigen
  $<IF:$<BOOL:${ICRL_FMT_HEADER_ONLY}>,fmt::fmt-header-only,fmt::fmt>
  nlohmann_json::nlohmann_json
  Threads::Threads)
# For Windows, g++ takes the stack to be aligned for the values of AVX where it is not (its bug 54412). The assembler can
# turn each aligned move into an unaligned one, which is as quick on the CPUs that have AVX. self_test() checks it. It
# depends on the compiler of the program, not on that of whoever installed the headers.
target_compile_options(icrl INTERFACE
  "$<$<AND:$<PLATFORM_ID:Windows>,$<COMPILE_LANG_AND_ID:CXX,GNU>>:-Wa,-muse-unaligned-vector-move>")
set_target_properties(icrl PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})

# Training on several machines, outside of icrl.hpp.
if(ICRL_MPI)
  find_package(MPI REQUIRED COMPONENTS CXX)
  add_library(icrl_mpi INTERFACE)
  add_library(icrl::mpi ALIAS icrl_mpi)
  target_link_libraries(icrl_mpi INTERFACE icrl::icrl MPI::MPI_CXX)
endif()
