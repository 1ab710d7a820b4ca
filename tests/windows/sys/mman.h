// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// What the tests ask of POSIX, on Windows. Only tests that are built for Windows have this folder in their path.
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#include <windows.h>

#include <cstddef>

#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 32
#define MAP_FAILED (reinterpret_cast<void*>(-1))
#define _SC_PAGESIZE 30
#define POSIX_MADV_NORMAL 0
#define POSIX_MADV_RANDOM 1
#define POSIX_MADV_WILLNEED 3

inline long sysconf(int) { return 4096; }

inline void* mmap(void*, std::size_t bytes, int, int, int, int) {
  void* const begin = ::VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
  return begin == nullptr ? MAP_FAILED : begin;
}

inline int mprotect(void* begin, std::size_t bytes, int access) {
  DWORD old = 0;
  return ::VirtualProtect(begin, bytes, access == PROT_NONE ? PAGE_NOACCESS : PAGE_READWRITE, &old) ? 0 : -1;
}

inline int munmap(void* begin, std::size_t) { return ::VirtualFree(begin, 0, MEM_RELEASE) ? 0 : -1; }
