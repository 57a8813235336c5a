// Products of bf16 matrices, summed in fp32, on tile registers (Intel AMX): 16 rows of 16 elements, each a pair of bf16.
//
// Eight registers: four of sums (two rows by two columns of tiles), two of left factors, two of right ones.
#pragma once

#include "vectors.h"

#if defined(HALVES) && defined(__AMX_BF16__) && defined(__linux__)
#define TILES
#include <sys/syscall.h>
#include <unistd.h>

constexpr int TALL = 16;  // rows of a register

// Linux lets a process use the registers once it has asked to: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
inline bool tiles_permitted() {
    static const bool granted = syscall(SYS_arch_prctl, 0x1023, 18) == 0;
    return granted;
}

// Sets a thread's registers up for sums [rows, L] of left [rows, depth] and right [depth, L], and frees them again.
class Registers {
    struct alignas(64) {
        std::uint8_t palette = 1, start = 0, reserved[14] = {};
        std::uint16_t bytes[16] = {};
        std::uint8_t rows[16] = {};
    } shape;
    void set(int tile, int rows, int elements) {
        shape.rows[tile] = rows;
        shape.bytes[tile] = elements * 4;
    }

  public:
    Registers(int rows, int depth, int lanes) {
        for (int sum = 0; sum < 4; sum++) set(sum, rows, lanes);
        for (int left = 4; left < 6; left++) set(left, rows, depth);
        for (int right = 6; right < 8; right++) set(right, depth, lanes);
        _tile_loadconfig(&shape);
    }
    ~Registers() { _tile_release(); }
    Registers(const Registers&) = delete;
};

// Two rows of tiles, or one, by two columns, or one. `bytes` lie between the rows in memory; registers are constants.
template <bool TWO, bool WIDE> struct Block {
    static void zero() {
        _tile_zero(0);
        if constexpr (WIDE) _tile_zero(1);
        if constexpr (TWO) _tile_zero(2);
        if constexpr (TWO && WIDE) _tile_zero(3);
    }
    static void load_sums(const float* from, const float* below, int lanes, std::int64_t bytes) {
        _tile_loadd(0, from, bytes);
        if constexpr (WIDE) _tile_loadd(1, from + lanes, bytes);
        if constexpr (TWO) _tile_loadd(2, below, bytes);
        if constexpr (TWO && WIDE) _tile_loadd(3, below + lanes, bytes);
    }
    static void store_sums(float* to, float* below, int lanes, std::int64_t bytes) {
        _tile_stored(0, to, bytes);
        if constexpr (WIDE) _tile_stored(1, to + lanes, bytes);
        if constexpr (TWO) _tile_stored(2, below, bytes);
        if constexpr (TWO && WIDE) _tile_stored(3, below + lanes, bytes);
    }
    static void load_left(const void* from, const void* below, std::int64_t bytes) {
        _tile_loadd(4, from, bytes);
        if constexpr (TWO) _tile_loadd(5, below, bytes);
    }
    static void load_right(const void* from, const void* beside, std::int64_t bytes) {
        _tile_loadd(6, from, bytes);
        if constexpr (WIDE) _tile_loadd(7, beside, bytes);
    }
    static void add() {
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (WIDE) _tile_dpbf16ps(1, 4, 7);
        if constexpr (TWO) _tile_dpbf16ps(2, 5, 6);
        if constexpr (TWO && WIDE) _tile_dpbf16ps(3, 5, 7);
    }
};

// One row of tiles by three columns: the sums of left factors with three right ones. `bytes` as above, the same for all.
struct Three {
    static void load_sums(const float* from, std::int64_t beside, std::int64_t bytes) {
        _tile_loadd(0, from, bytes);
        _tile_loadd(1, from + beside, bytes);
        _tile_loadd(2, from + 2 * beside, bytes);
    }
    static void store_sums(float* to, std::int64_t beside, std::int64_t bytes) {
        _tile_stored(0, to, bytes);
        _tile_stored(1, to + beside, bytes);
        _tile_stored(2, to + 2 * beside, bytes);
    }
    static void add(const void* left, std::int64_t left_bytes, const void* a, const void* b, const void* c,
                    std::int64_t bytes) {
        _tile_loadd(4, left, left_bytes);
        _tile_loadd(6, a, bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b, bytes);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, c, bytes);
        _tile_dpbf16ps(2, 4, 6);
    }
};

// `work` for two rows and columns of registers, or one.
template <class Work> inline void blocks_of(bool two, bool wide, Work work) {
    if (two && wide) work.template operator()<true, true>();
    else if (two) work.template operator()<true, false>();
    else if (wide) work.template operator()<false, true>();
    else work.template operator()<false, false>();
}

// 16 rows of L elements to L rows of 16.
template <int L> inline void turn(const std::int32_t* from, std::int32_t* to) {
    __m512i r[TALL];
#pragma GCC unroll 16
    for (int i = 0; i < TALL; i++)
        r[i] = L == 16 ? _mm512_loadu_si512(from + i * L) : _mm512_maskz_loadu_epi32(0xff, from + i * L);
    Mask<16> lane;
    for (int i = 0; i < 16; i++) lane[i] = i;
#pragma GCC unroll 4
    for (int step = 1; step < 16; step *= 2) {
        Mask<16> odd = (lane & step) != 0;
        Mask<16> upper = odd ? lane - step + 16 : lane, lower = odd ? lane + 16 : lane + step;
#pragma GCC unroll 16
        for (int i = 0; i < TALL; i++)
            if (!(i & step)) {
                __m512i a = r[i], b = r[i + step];
                r[i] = _mm512_permutex2var_epi32(a, (__m512i)upper, b);
                r[i + step] = _mm512_permutex2var_epi32(a, (__m512i)lower, b);
            }
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) _mm512_storeu_si512(to + i * TALL, r[i]);
}
#endif
