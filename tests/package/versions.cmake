# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Which versions find_package(icrl VERSION) may ask for: before 1.0.0 those of the same minor version up to the installed
# one, then those of the same major version.
#   cmake -DVERSION_FILE=.../icrlConfigVersion.cmake -P versions.cmake
cmake_minimum_required(VERSION 3.25)

function(is_compatible asked result)
  string(REPLACE "." ";" parts ${asked})
  list(LENGTH parts PACKAGE_FIND_VERSION_COUNT)
  list(APPEND parts 0 0)
  list(GET parts 0 PACKAGE_FIND_VERSION_MAJOR)
  list(GET parts 1 PACKAGE_FIND_VERSION_MINOR)
  set(PACKAGE_FIND_VERSION ${asked})
  set(CMAKE_SIZEOF_VOID_P 8)
  include(${VERSION_FILE})
  set(${result} ${PACKAGE_VERSION_COMPATIBLE} PARENT_SCOPE)
  set(installed ${PACKAGE_VERSION} PARENT_SCOPE)
endfunction()

function(expect asked answer)
  is_compatible(${asked} found)
  if(answer AND NOT found OR found AND NOT answer)
    message(FATAL_ERROR "icrl ${installed}: find_package(icrl ${asked}) should be ${answer}, is ${found}")
  endif()
endfunction()

is_compatible(0.0 unused)
string(REPLACE "." ";" parts ${installed})
list(GET parts 0 major)
list(GET parts 1 minor)
list(GET parts 2 patch)
math(EXPR next_major "${major} + 1")
math(EXPR next_minor "${minor} + 1")
math(EXPR next_patch "${patch} + 1")
expect(${installed} TRUE)
expect(${major}.${minor} TRUE)
expect(${major}.${minor}.${next_patch} FALSE)
expect(${major}.${next_minor} FALSE)
expect(${next_major}.0 FALSE)
if(minor GREATER 0)
  math(EXPR last_minor "${minor} - 1")
  if(major EQUAL 0)
    expect(0.${last_minor} FALSE)
  else()
    expect(${major}.${last_minor} TRUE)
  endif()
endif()
