# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# The Debian package icrl-dev, which `cpack` writes (scripts/package.sh). It has what is installed and, with
# ICRL_PACKAGE_MODEL, that trained model with a program that acts with it.
if(ICRL_COMPILED)
  message(FATAL_ERROR "ICRL_PACKAGE: the package icrl-dev is for every processor, so it cannot have the library of ICRL_COMPILED")
endif()
set(icrl_debian_docs ${CMAKE_INSTALL_DATADIR}/doc/icrl-dev)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${icrl_debian_docs} RENAME copyright)
if(ICRL_PACKAGE_MODEL)
  install(FILES ${ICRL_PACKAGE_MODEL} ${PROJECT_SOURCE_DIR}/examples/package/act.cpp
    DESTINATION ${icrl_debian_docs}/examples)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME icrl-dev)
set(CPACK_PACKAGE_VENDOR "The icrl authors")
set(CPACK_PACKAGE_CONTACT ${ICRL_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4), libfmt-dev, nlohmann-json3-dev (>= 3.9)")
include(CPack)
