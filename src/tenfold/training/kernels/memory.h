// Memory that a thread keeps between calls, and how much of it stays in its cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include <unistd.h>

// Bytes that a thread may fill and still find in the cache: half of the second level.
inline std::int64_t kept_bytes() {
    static const std::int64_t bytes = [] {
#ifdef _SC_LEVEL2_CACHE_SIZE
        std::int64_t found = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (found > 0) return std::min<std::int64_t>(found, 1 << 20) / 2;
#endif
        return std::int64_t{1} << 18;
    }();
    return bytes;
}

inline void* scratch_bytes(int which, std::int64_t bytes) {
    static thread_local void* kept[4] = {};
    static thread_local std::int64_t size[4] = {};
    if (size[which] < bytes) {
        std::free(kept[which]);
        kept[which] = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
        size[which] = bytes;
    }
    return kept[which];
}

// One of four blocks of the thread's own, with room for `count` of T; a larger one than before holds nothing yet.
template <class T> T* scratch(int which, std::int64_t count) {
    return static_cast<T*>(scratch_bytes(which, count * static_cast<std::int64_t>(sizeof(T))));
}
