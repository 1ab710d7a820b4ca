# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# What takes long to compile: ICRL_MORE_TESTS.

# ---- models as headers for devices ----
add_executable(write_policies embedded/write_policies.cpp)
target_include_directories(write_policies PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(write_policies PRIVATE icrl_dev)
add_test(NAME embedded
  COMMAND embedded/check.sh ${CMAKE_CURRENT_BINARY_DIR}/embedded $<TARGET_FILE:write_policies> ${CMAKE_CXX_COMPILER}
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
set_tests_properties(embedded PROPERTIES PROCESSORS 2 LABELS compiles)

# Without the compiler's own folder, which as -isystem would come before the standard library's.
foreach(library IN ITEMS Eigen3::Eigen nlohmann_json::nlohmann_json fmt::fmt)
  list(APPEND library_folders $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
endforeach()
add_test(NAME headers_alone
  COMMAND headers/check_headers.sh ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/headers
    ${CMAKE_CXX_COMPILER} ${icrl_warnings} -Wdouble-promotion "-isystem$<JOIN:$<FILTER:${library_folders},EXCLUDE,^/usr/include$>,;-isystem>"
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} COMMAND_EXPAND_LISTS)
set_tests_properties(headers_alone PROPERTIES PROCESSORS 2 LABELS "compiles;long")

add_test(NAME targets_unity
  COMMAND targets/check_unity.sh ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/unity
    ${icrl_warnings} "-isystem$<JOIN:$<FILTER:${library_folders},EXCLUDE,^/usr/include$>,;-isystem>"
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} COMMAND_EXPAND_LISTS)
set_tests_properties(targets_unity PROPERTIES LABELS "compiles;long")

add_test(NAME docs_blocks
  COMMAND docs/check_blocks.sh ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/docs
    ${CMAKE_CXX_COMPILER} ${icrl_warnings} "-isystem$<JOIN:$<FILTER:${library_folders},EXCLUDE,^/usr/include$>,;-isystem>"
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} COMMAND_EXPAND_LISTS)
set_tests_properties(docs_blocks PROPERTIES PROCESSORS 2 LABELS compiles)

add_executable(test_umbrella umbrella/first.cpp umbrella/second.cpp)
target_link_libraries(test_umbrella PRIVATE icrl_dev)
target_compile_options(test_umbrella PRIVATE -O0)
add_test(NAME umbrella COMMAND test_umbrella)

add_test(NAME mixed_targets COMMAND mixed_targets/check.sh WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
set_tests_properties(mixed_targets PROPERTIES LABELS compiles)

add_test(NAME compile_fail COMMAND compile_fail/check.sh WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
set_tests_properties(compile_fail PROPERTIES LABELS compiles)

# ---- other versions of the libraries ----
foreach(library IN ITEMS Eigen3::Eigen nlohmann_json::nlohmann_json)
  list(APPEND folders_but_fmt $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
endforeach()
add_test(NAME other_fmt COMMAND dependencies/check_fmt.sh "-I$<JOIN:${folders_but_fmt},;-I>"
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} COMMAND_EXPAND_LISTS)
set_tests_properties(other_fmt PROPERTIES LABELS compiles)
add_test(NAME other_eigen
  COMMAND dependencies/check_eigen.sh ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/other_eigen
    "$<JOIN:$<TARGET_PROPERTY:Eigen3::Eigen,INTERFACE_INCLUDE_DIRECTORIES>,>"
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})

# ---- users: other projects, examples, the README ----
foreach(way IN ITEMS find_package pkg_config add_subdirectory fetch_content)
  add_test(NAME package_${way}
    COMMAND package/check.sh ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/package_${way} ${way}
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(package_${way} PROPERTIES LABELS compiles SKIP_RETURN_CODE 77)
endforeach()

if(TARGET compression_mixture)
  add_test(NAME compression_mixture COMMAND compression_mixture --quick --out out/compression_mixture
    WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/examples)
  set_tests_properties(compression_mixture PROPERTIES LABELS slow FIXTURES_REQUIRED example_output)
endif()

# ---- tasks in Python ----
# Not under a sanitizer, whose memory Python would have to be started with.
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  add_library(python_bridge SHARED ${PROJECT_SOURCE_DIR}/examples/python/bridge.cpp)
  target_link_libraries(python_bridge PRIVATE icrl_dev)
  add_test(NAME python_bridge
    COMMAND python/check.sh ${PROJECT_SOURCE_DIR}/examples/python $<TARGET_FILE:python_bridge>
      ${CMAKE_CURRENT_BINARY_DIR}/python_bridge
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(python_bridge PROPERTIES SKIP_RETURN_CODE 77)
endif()
