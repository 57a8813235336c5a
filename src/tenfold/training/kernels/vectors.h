// Registers of floats, as GCC's vector types: L lanes, one per channel. Channels are multiples of 8.
#pragma once

#include <bit>
#include <cstdint>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#define HALVES  // products of pairs of bf16, summed in fp32
#endif

#ifdef __AVX512F__
constexpr int WIDEST = 16;
#else
constexpr int WIDEST = 8;
#endif

template <int L> struct Lanes {
    typedef float type __attribute__((vector_size(L * 4), aligned(4), may_alias));
    typedef std::int32_t mask __attribute__((vector_size(L * 4), aligned(4), may_alias));
    typedef std::uint16_t shorts __attribute__((vector_size(L * 2), aligned(2), may_alias));
    typedef std::uint8_t bytes __attribute__((vector_size(L), aligned(1), may_alias));
};
template <int L> using Vec = typename Lanes<L>::type;
template <int L> using Mask = typename Lanes<L>::mask;
template <int L> using Shorts = typename Lanes<L>::shorts;
template <int L> using Bytes = typename Lanes<L>::bytes;

struct Half {  // a bf16 in memory: the upper 16 bits of a float
    std::uint16_t bits;
};

template <int L> inline Vec<L> load(const float* p) { return *reinterpret_cast<const Vec<L>*>(p); }
template <int L> inline Mask<L> load(const std::int32_t* p) { return *reinterpret_cast<const Mask<L>*>(p); }
template <int L> inline void store(float* p, Vec<L> v) { *reinterpret_cast<Vec<L>*>(p) = v; }
template <int L> inline void store(std::int32_t* p, Mask<L> v) { *reinterpret_cast<Mask<L>*>(p) = v; }
template <int L> inline void put(float* p, Vec<L> v) { store<L>(p, v); }

// 16 bits to 32 by one instruction where GCC would take seven.
template <int L> inline Mask<L> widened(const std::uint16_t* p) {
#ifdef __AVX512F__
    if constexpr (L == 16) return (Mask<L>)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p));
#endif
#ifdef __AVX2__
    if constexpr (L == 8) return (Mask<L>)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p));
#endif
    return __builtin_convertvector(*reinterpret_cast<const Shorts<L>*>(p), Mask<L>);
}

// 8 bits to 32, and back, likewise.
template <int L> inline Mask<L> widened(const std::uint8_t* p) {
#ifdef __AVX512F__
    if constexpr (L == 16) return (Mask<L>)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
#endif
#ifdef __AVX2__
    if constexpr (L == 8) return (Mask<L>)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
#endif
    return __builtin_convertvector(*reinterpret_cast<const Bytes<L>*>(p), Mask<L>);
}
template <int L> inline void narrow(std::uint8_t* p, Mask<L> v) {
#ifdef __AVX512F__
    if constexpr (L == 16) return _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8((__m512i)v));
#endif
#ifdef __AVX512VL__
    if constexpr (L == 8) return _mm_storel_epi64((__m128i*)p, _mm256_cvtepi32_epi8((__m256i)v));
#endif
    *reinterpret_cast<Bytes<L>*>(p) = __builtin_convertvector(v, Bytes<L>);
}

// L pairs, `low` in the lower half of each.
template <int L> inline Mask<L> zip(const std::uint16_t* low, const std::uint16_t* high) {
    return widened<L>(low) | widened<L>(high) << 16;
}

template <int L> inline Vec<L> load(const Half* p) { return reinterpret_cast<Vec<L>>(widened<L>(&p->bits) << 16); }

// Rounded to the nearest, to the even one of two; a NaN stays one.
template <int L> inline void store(Half* p, Vec<L> v) {
#ifdef HALVES
    if constexpr (L == 16) _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
    else _mm_storeu_si128((__m128i*)p, (__m128i)_mm256_cvtneps_pbh((__m256)v));
#else
    Mask<L> bits = reinterpret_cast<Mask<L>>(v);
    Mask<L> rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    rounded = v != v ? Mask<L>{} + 0x7fc0 : rounded;
    *reinterpret_cast<Shorts<L>*>(p) = __builtin_convertvector(rounded, Shorts<L>);
#endif
}

#ifdef HALVES
// sum + left·right for the two bf16 in each lane.
template <int L> inline Vec<L> dot(Vec<L> sum, Mask<L> left, Mask<L> right) {
    if constexpr (L == 16) return (Vec<L>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)right);
    else return (Vec<L>)_mm256_dpbf16_ps((__m256)sum, (__m256bh)left, (__m256bh)right);
}

// Lanes rounded to bf16, `low` in the lower half of each.
template <int L> inline Mask<L> pair(Vec<L> low, Vec<L> high) {
    if constexpr (L == 16) {
        __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)low));
        __m512i b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)high));
        return (Mask<L>)_mm512_or_si512(a, _mm512_slli_epi32(b, 16));
    } else {
        __m256i a = _mm256_cvtepu16_epi32((__m128i)_mm256_cvtneps_pbh((__m256)low));
        __m256i b = _mm256_cvtepu16_epi32((__m128i)_mm256_cvtneps_pbh((__m256)high));
        return (Mask<L>)_mm256_or_si256(a, _mm256_slli_epi32(b, 16));
    }
}

// As close to v as bf16 comes.
template <int L> inline Vec<L> rounded(Vec<L> v) {
    if constexpr (L == 16)
        return (Vec<L>)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)), 16);
    else return (Vec<L>)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)_mm256_cvtneps_pbh((__m256)v)), 16);
}

// L numbers as L / 2 elements of two neighbours.
template <int L> inline void put(std::int32_t* p, Vec<L> v) { store<L>(reinterpret_cast<Half*>(p), v); }
#endif

inline float number(float x) { return x; }
inline float number(Half x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

inline int lanes(std::int64_t channels) { return channels % WIDEST == 0 ? WIDEST : 8; }

// `work` for so many channels at a time, kept as floats or as bf16.
template <class Work> void by_storage(int halves, std::int64_t channels, Work work) {
    bool wide = lanes(channels) == WIDEST;
    if (halves) wide ? work.template operator()<WIDEST, Half>() : work.template operator()<8, Half>();
    else wide ? work.template operator()<WIDEST, float>() : work.template operator()<8, float>();
}
