# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Before 1.0.0 a new minor version may change the interface, then only a new major version.
if(icrl_major EQUAL 0)
  set(icrl_compatibility SameMinorVersion)
else()
  set(icrl_compatibility SameMajorVersion)
endif()
set(icrl_cmake_folder ${CMAKE_INSTALL_DATADIR}/cmake/icrl)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/icrlConfig.cmake.in ${PROJECT_BINARY_DIR}/icrlConfig.cmake
  INSTALL_DESTINATION ${icrl_cmake_folder} NO_SET_AND_CHECK_MACRO)
if(ICRL_COMPILED)
  install(TARGETS icrl_compiled EXPORT icrlTargets)
else()
  set(icrl_architecture ARCH_INDEPENDENT)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/icrlConfigVersion.cmake
  COMPATIBILITY ${icrl_compatibility} ${icrl_architecture})
configure_file(${PROJECT_SOURCE_DIR}/cmake/icrl.pc.in ${PROJECT_BINARY_DIR}/icrl.pc @ONLY)

install(TARGETS icrl EXPORT icrlTargets FILE_SET HEADERS)
install(EXPORT icrlTargets NAMESPACE icrl:: DESTINATION ${icrl_cmake_folder})
install(FILES ${PROJECT_BINARY_DIR}/icrlConfig.cmake ${PROJECT_BINARY_DIR}/icrlConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/icrlBuildType.cmake
  ${PROJECT_SOURCE_DIR}/cmake/icrlEigen.cmake
  DESTINATION ${icrl_cmake_folder})
install(FILES ${PROJECT_BINARY_DIR}/icrl.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
