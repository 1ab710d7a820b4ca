# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(icrl_cmake_folder ${CMAKE_INSTALL_DATADIR}/cmake/icrl)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/icrlConfig.cmake.in ${PROJECT_BINARY_DIR}/icrlConfig.cmake
  INSTALL_DESTINATION ${icrl_cmake_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/icrlConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(TARGETS icrl EXPORT icrlTargets FILE_SET HEADERS)
install(EXPORT icrlTargets NAMESPACE icrl:: DESTINATION ${icrl_cmake_folder})
install(FILES ${PROJECT_BINARY_DIR}/icrlConfig.cmake ${PROJECT_BINARY_DIR}/icrlConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/icrlEigen.cmake
  DESTINATION ${icrl_cmake_folder})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
