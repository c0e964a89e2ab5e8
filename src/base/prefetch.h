// Hints to the processor's caches. They never fault and change nothing.
// Threads: any.
#pragma once

namespace fluxkv {

// Asks for the line for this core alone: who writes it next need not wait for it a second time.
inline void PrefetchForWrite(const void* address) {
#if defined(__x86_64__)
  // What the compiler's own hint is only where it is told that the processor has it. All x86-64
  // processors since 2006 take it, some to do nothing.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace fluxkv
