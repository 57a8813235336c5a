// Registers of floats, as GCC's vector types: L lanes, one per channel. Channels are multiples of 8.
#pragma once

#include <cstdint>

#ifdef __AVX512F__
constexpr int WIDEST = 16;
#else
constexpr int WIDEST = 8;
#endif

template <int L> struct Lanes {
    typedef float type __attribute__((vector_size(L * 4), aligned(4), may_alias));
    typedef std::int32_t mask __attribute__((vector_size(L * 4), aligned(4), may_alias));
};
template <int L> using Vec = typename Lanes<L>::type;
template <int L> using Mask = typename Lanes<L>::mask;

template <int L> inline Vec<L> load(const float* p) { return *reinterpret_cast<const Vec<L>*>(p); }
template <int L> inline void store(float* p, Vec<L> v) { *reinterpret_cast<Vec<L>*>(p) = v; }

inline int lanes(std::int64_t channels) { return channels % WIDEST == 0 ? WIDEST : 8; }
