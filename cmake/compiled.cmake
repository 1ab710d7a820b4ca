# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# icrl::compiled: the transformer and its trainer as a static library, which is built when something links it, and with
# everything else where ICRL_COMPILED is on.
# On x86-64 it holds one build per target, and a program uses the best one that its CPU runs. Nothing that the compiler
# emitted for a target may be used by another: the linker keeps one copy of an inline function, which on an older CPU
# would be an illegal instruction. So each build is one object whose only global symbols are its entry and type
# information, which is data.
set(icrl_one_target ON)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT WIN32 AND NOT APPLE)
  find_program(ICRL_GNU_LD NAMES ${_CMAKE_TOOLCHAIN_PREFIX}ld.bfd ld.bfd DOC "GNU ld, for icrl::compiled")
  find_program(ICRL_GNU_OBJCOPY NAMES ${_CMAKE_TOOLCHAIN_PREFIX}objcopy objcopy DOC "GNU objcopy, for icrl::compiled")
  mark_as_advanced(ICRL_GNU_LD ICRL_GNU_OBJCOPY)
  get_property(icrl_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(ICRL_GNU_LD AND ICRL_GNU_OBJCOPY AND NOT icrl_multi_config)
    set(icrl_one_target OFF)
  elseif(PROJECT_IS_TOP_LEVEL OR ICRL_COMPILED)
    message(WARNING "icrl::compiled: one target only; several need GNU ld, GNU objcopy and a single-config generator")
  else()
    message(STATUS "icrl::compiled: one target only; several need GNU ld, GNU objcopy and a single-config generator")
  endif()
endif()

add_library(icrl_compiled STATIC ${PROJECT_SOURCE_DIR}/src/compiled/targets.cpp)
if(NOT ICRL_COMPILED)
  set_target_properties(icrl_compiled PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
add_library(icrl::compiled ALIAS icrl_compiled)
set_target_properties(icrl_compiled PROPERTIES EXPORT_NAME compiled)
target_link_libraries(icrl_compiled PUBLIC icrl::icrl)
target_compile_definitions(icrl_compiled INTERFACE ICRL_COMPILED)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CXX_FLAGS MATCHES "-O")
  set(icrl_build_level $<$<CONFIG:>:-O2>)
endif()

# Adds the object library `name`: transformer_build.cpp with these options, whose entry is icrl_build_<name>.
function(icrl_add_build name target level)
  set(library icrl_build_${name})
  add_library(${library} OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/src/compiled/transformer_build.cpp)
  target_link_libraries(${library} PRIVATE icrl::icrl)
  target_compile_definitions(${library} PRIVATE ICRL_BUILD=icrl_build_${name} ICRL_LEVEL=${level} "ICRL_TARGET=\"${target}\"")
  target_compile_options(${library} PRIVATE ${ARGN} ${icrl_build_level})
  set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
set_target_properties(icrl_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)

if(icrl_one_target)
  icrl_add_build(only "as compiled" 0)
  target_sources(icrl_compiled PRIVATE $<TARGET_OBJECTS:icrl_build_only>)
else()
  target_compile_definitions(icrl_compiled PRIVATE ICRL_SEVERAL_TARGETS)
  target_compile_options(icrl_compiled PRIVATE -march=x86-64)  # it decides, so it must run everywhere
  # Adds a build for one target to the library.
  function(icrl_add_target name target level)
    icrl_add_build(${name} ${target} ${level} ${ARGN} -fno-lto $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
    set(object ${PROJECT_BINARY_DIR}/compiled/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${ICRL_GNU_LD} -r --force-group-allocation -o ${object}.linked $<TARGET_OBJECTS:icrl_build_${name}>
      COMMAND ${ICRL_GNU_OBJCOPY} --wildcard --keep-global-symbol=icrl_build_${name} --keep-global-symbol=_ZTI*
        --keep-global-symbol=_ZTS* ${object}.linked ${object}
      COMMAND ${CMAKE_COMMAND} -E rm ${object}.linked
      DEPENDS icrl_build_${name} $<TARGET_OBJECTS:icrl_build_${name}> COMMAND_EXPAND_LISTS VERBATIM
      COMMENT "Localizing the symbols of ${target}")
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    target_sources(icrl_compiled PRIVATE ${object})
  endfunction()
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/compiled)
  icrl_add_target(x86_64_v2 x86-64-v2 2 -march=x86-64-v2)
  icrl_add_target(x86_64_v3 x86-64-v3 3 -march=x86-64-v3)
  icrl_add_target(x86_64_v4 x86-64-v4 4 -march=x86-64-v4)
  icrl_add_target(x86_64_v4_bf16 x86-64-v4-bf16 5 -march=x86-64-v4 -mavx512bf16 -mavx512vnni)
endif()
