// 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3) (Lavin & Gray 2016, arXiv 1509.09308, section 4.3), float32, NHWC.
//
// A 4×4 tile of outputs needs 36 products for each pair of channels instead of 144. Three functions, each the exact
// adjoint of the others: the outputs, the gradient of the images (the same function with turned weights) and the
// gradient of the weights. Lengths of vectors follow the processor that it is compiled for; no shape is special.
//
//   V = Bᵀ d B     the 6×6 patch of images under a tile, transformed           [36][channels / lanes][tile][lanes]
//   U = G g Gᵀ     the weights, transformed                                    [36][panel][in][panel width]
//   M = V · U      36 matrix products, tiles × in channels × out channels
//   y = Aᵀ M A     the 4×4 outputs
//
// The products can be computed in bf16, summed in fp32 (about 1 % of error in each): good enough for gradients. Where they
// run on matrix registers (tiles.h), three of them with numbers split in two bf16 are faster than one in fp32, and nearly
// as exact (2e-5): good enough for outputs.
//
// Channels must be multiples of 8. Sums run in an order that does not depend on the number of threads.

#include <algorithm>
#include <type_traits>

#include "memory.h"
#include "tiles.h"
#include "vectors.h"

namespace {

using std::int64_t;

constexpr int F = 36;                        // products of a tile
constexpr int ROWS = WIDEST == 16 ? 12 : 6;  // rows that a product of the outputs keeps in registers
constexpr int LINES = WIDEST == 16 ? 8 : 4;  // the same of the weights' gradient
constexpr int CHUNK = 64;                    // output channels whose products stay in the cache until they are transformed
constexpr int AHEAD = 32;                    // rows of a panel that are fetched before they are needed
constexpr int SOON = 2;                      // tiles that are fetched before they are needed

struct Shape {
    int64_t n, h, w, cin, cout, pad;
    int64_t out_h() const { return h + 2 * pad - 2; }
    int64_t out_w() const { return w + 2 * pad - 2; }
    int64_t down() const { return (out_h() + 3) / 4; }
    int64_t across() const { return (out_w() + 3) / 4; }
    int64_t tiles() const { return n * down() * across(); }
};

struct Place { int64_t image, y, x; };  // a tile's first output

inline Place place(const Shape& s, int64_t tile) {
    int64_t each = s.down() * s.across(), rest = tile % each;
    return {tile / each, rest / s.across() * 4, rest % s.across() * 4};
}

// Fetches the 4×4 pixels at a later tile's place, `count` channels, to be read (0) or written (1). They lie in four
// rows of memory, which no processor foresees. Inlined by order: GCC takes it for a function without effect.
template <int WRITE>
__attribute__((always_inline)) inline void fetch(const Shape& s, int64_t tile, const float* pixels, int64_t h, int64_t w,
                                                 int64_t channels, int64_t count) {
    if (tile >= s.tiles()) return;
    Place p = place(s, tile);
    for (int64_t i = p.y; i < std::min(h, p.y + 4); i++)
        for (int64_t j = p.x; j < std::min(w, p.x + 4); j++)
            for (int64_t c = 0; c < count; c += 16)
                __builtin_prefetch(pixels + ((p.image * h + i) * w + j) * channels + c, WRITE);
}

// Registers side by side in a panel of output channels.
inline int registers(int64_t channels) {
    int64_t all = channels / lanes(channels);
    return all % 2 == 0 ? 2 : all % 3 == 0 ? 3 : 1;
}

// The points of interpolation are 0, ±A, ±B and infinity. Spread like this they lose half as much to rounding as 1 and 2.
constexpr float A = 11.0f / 16, B = 1.5f, A2 = A * A, B2 = B * B;

template <class T> inline void input_line(const T d[6], T out[6]) {
    T even = d[4] - B2 * d[2], odd = A * (d[3] - B2 * d[1]), far = d[4] - A2 * d[2], wide = B * (d[3] - A2 * d[1]);
    out[0] = A2 * B2 * d[0] - (A2 + B2) * d[2] + d[4];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = far + wide;
    out[4] = far - wide;
    out[5] = A2 * B2 * d[1] - (A2 + B2) * d[3] + d[5];
}

template <class T> inline void output_line(const T m[6], T out[4]) {
    T a = m[1] + m[2], b = A * (m[1] - m[2]), c = m[3] + m[4], d = B * (m[3] - m[4]);
    out[0] = m[0] + a + c;
    out[1] = b + d;
    out[2] = A2 * a + B2 * c;
    out[3] = A2 * b + B2 * d + m[5];
}

template <class T> inline void output_line_adjoint(const T y[4], T out[6]) {
    T even = y[0] + A2 * y[2], odd = A * (y[1] + A2 * y[3]), far = y[0] + B2 * y[2], wide = B * (y[1] + B2 * y[3]);
    out[0] = y[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = far + wide;
    out[4] = far - wide;
    out[5] = y[3];
}

constexpr float AT_ZERO = 1 / (A2 * B2), AT_A = 1 / (2 * A2 * (A2 - B2)), AT_B = 1 / (2 * B2 * (B2 - A2));

template <class T> inline void weight_line(const T g[3], T out[6]) {
    T near = AT_A * (g[0] + A2 * g[2]), far = AT_B * (g[0] + B2 * g[2]), odd = AT_A * A * g[1], wide = AT_B * B * g[1];
    out[0] = AT_ZERO * g[0];
    out[1] = near + odd;
    out[2] = near - odd;
    out[3] = far + wide;
    out[4] = far - wide;
    out[5] = g[2];
}

template <class T> inline void weight_line_adjoint(const T u[6], T out[3]) {
    T near = AT_A * (u[1] + u[2]), far = AT_B * (u[3] + u[4]);
    out[0] = AT_ZERO * u[0] + near + far;
    out[1] = AT_A * A * (u[1] - u[2]) + AT_B * B * (u[3] - u[4]);
    out[2] = A2 * near + B2 * far + u[5];
}

// What the products are computed in. An element is one number (Exact), or two neighbours along the sum, in bf16. A product
// of the outputs takes `rows` tiles at a time, one of the weights' gradient sums over `whole` ones.
struct Exact {
    typedef float type;
    static constexpr int numbers = 1, parts = 1, rows = ROWS, whole = 1;
    static constexpr bool tiled = false;
    template <int L> using Register = Vec<L>;
    template <int L> static inline Vec<L> add(Vec<L> sum, float left, Vec<L> right) { return sum + left * right; }
};

#ifdef TILES
// Two parts: a number and what its rounding lost. Three of the four products of parts leave about a 2⁻¹⁶ of error.
template <int PARTS> struct Tiled {
    typedef std::int32_t type;
    static constexpr int numbers = 2, parts = PARTS, rows = 2 * TALL, whole = 2 * TALL;
    static constexpr bool tiled = true;
};
using Halves = Tiled<1>;
using Split = Tiled<2>;
#elif defined(HALVES)
struct Halves {
    typedef std::int32_t type;
    static constexpr int numbers = 2, parts = 1, rows = ROWS, whole = 2;
    static constexpr bool tiled = false;
    template <int L> using Register = Mask<L>;
    template <int L> static inline Vec<L> add(Vec<L> sum, std::int32_t left, Mask<L> right) {
        return dot<L>(sum, Mask<L>{} + left, right);
    }
};
#endif

// In channels side by side in V: as many as a tile register is deep, or the lanes of a vector.
template <class E, int LV> inline int64_t side_by_side(int64_t cin) {
    int64_t block = E::tiled ? 32 / LV * LV : LV;
    while (cin % block) block -= LV;
    return block;
}

// The 36 numbers of V for a tile, L channels from c on: sink(which, numbers).
template <int L, class Sink>
inline void input_tile(const Shape& s, const float* x, int64_t tile, int64_t c, Sink sink) {
    Place p = place(s, tile);
    int64_t y0 = p.y - s.pad, x0 = p.x - s.pad;
    const float* image = x + p.image * s.h * s.w * s.cin;
    Vec<L> rows[6][6], line[6], done[6];
    for (int i = 0; i < 6; i++) {
        bool inside = y0 + i >= 0 && y0 + i < s.h;
        const float* row = image + ((y0 + i) * s.w + x0) * s.cin + c;
        for (int j = 0; j < 6; j++)
            line[j] = inside && x0 + j >= 0 && x0 + j < s.w ? load<L>(row + j * s.cin) : Vec<L>{};
        input_line(line, rows[i]);
    }
    for (int j = 0; j < 6; j++) {
        for (int i = 0; i < 6; i++) line[i] = rows[i][j];
        input_line(line, done);
        for (int i = 0; i < 6; i++) sink(i * 6 + j, done[i]);
    }
}

// The adjoint of transform_output for a tile, L channels from c on: gradients of outputs to sink(which, numbers).
template <int L, class Sink>
inline void gradient_tile(const Shape& s, const float* dy, int64_t tile, int64_t c, Sink sink) {
    Place p = place(s, tile);
    int64_t oh = s.out_h(), ow = s.out_w();
    const float* from = dy + ((p.image * oh + p.y) * ow + p.x) * s.cout + c;
    Vec<L> rows[4][6], line[4], done[6];
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++)
            line[j] = p.y + i < oh && p.x + j < ow ? load<L>(from + (i * ow + j) * s.cout) : Vec<L>{};
        output_line_adjoint(line, rows[i]);
    }
    for (int j = 0; j < 6; j++) {
        for (int i = 0; i < 4; i++) line[i] = rows[i][j];
        output_line_adjoint(line, done);
        for (int i = 0; i < 6; i++) sink(i * 6 + j, done[i]);
    }
}

// V of `count` tiles from `first` on, neighbours along the channels, `block` of them side by side.
template <class E, int L>
void transform_input(const Shape& s, const float* x, int64_t first, int64_t count, int64_t room, int64_t block,
                     int64_t stride, typename E::type* v) {
    for (int64_t t = 0; t < count; t++) {
        fetch<0>(s, first + t + SOON, x, s.h, s.w, s.cin, s.cin);
        for (int64_t c = 0; c < s.cin; c += L) {
            auto* out = v + (c / block * room + t) * (block / E::numbers) + c % block / E::numbers;
            input_tile<L>(s, x, first + t, c, [=](int f, Vec<L> number) {
                put<L>(out + f * stride, number);
#ifdef TILES
                if constexpr (E::parts == 2)
                    put<L>(out + f * stride + s.cin / E::numbers * room, number - rounded<L>(number));
#endif
            });
        }
    }
}

// The outputs of `count` tiles and `width` channels from products m [36][room][width].
template <int L> void transform_output(const Shape& s, const float* m, int64_t first, int64_t count, int64_t stride,
                                       int64_t channel, int64_t width, float* y) {
    int64_t oh = s.out_h(), ow = s.out_w();
    for (int64_t t = 0; t < count; t++) {
        Place p = place(s, first + t);
        fetch<1>(s, first + t + SOON, y + channel, oh, ow, s.cout, width);
        for (int64_t c = 0; c < width; c += L) {
            Vec<L> rows[6][4], line[6], done[4];
            for (int i = 0; i < 6; i++) {
                for (int j = 0; j < 6; j++) line[j] = load<L>(m + (i * 6 + j) * stride + t * width + c);
                output_line(line, rows[i]);
            }
            float* out = y + ((p.image * oh + p.y) * ow + p.x) * s.cout + channel + c;
            for (int j = 0; j < 4 && p.x + j < ow; j++) {
                for (int i = 0; i < 6; i++) line[i] = rows[i][j];
                output_line(line, done);
                for (int i = 0; i < 4 && p.y + i < oh; i++) store<L>(out + (i * ow + j) * s.cout, done[i]);
            }
        }
    }
}

// One element for each of `tiles` (one tile, or two; a missing second is zero): make(tile, sink), to out + which · stride,
// and what rounding lost to `low` elements behind.
template <class E, int L, class Make>
inline void store_tiles(int64_t tile, int64_t end, int64_t stride, typename E::type* out, int64_t low, Make make) {
    if constexpr (E::numbers == 1) {
        make(tile, [=](int f, Vec<L> number) { store<L>(out + f * stride, number); });
    }
#ifdef HALVES
    else {
        Vec<L> held[F];
        auto finish = [&](int f, Vec<L> number) {
            store<L>(out + f * stride, pair<L>(held[f], number));
            if constexpr (E::parts == 2)
                store<L>(out + f * stride + low, pair<L>(held[f] - rounded<L>(held[f]), number - rounded<L>(number)));
        };
        make(tile, [&](int f, Vec<L> number) { held[f] = number; });
        if (tile + 1 < end) make(tile + 1, finish);
        else for (int f = 0; f < F; f++) finish(f, Vec<L>{});
    }
#endif
}

// M of R tiles and one panel: sum over the in channels, `blocks` of K elements.
template <class E, int L, int NV, int R, int K>
void multiply(const typename E::type* v, int64_t block, int64_t blocks, const typename E::type* u, float* m,
              int64_t width) {
    Vec<L> sum[R][NV];
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 16
        for (int j = 0; j < NV; j++) sum[i][j] = Vec<L>{};
    for (int64_t b = 0; b < blocks; b++, v += block)
        for (int k = 0; k < K; k++, u += NV * L) {
            typename E::template Register<L> right[NV];
#pragma GCC unroll 16
            for (int j = 0; j < NV; j++) __builtin_prefetch(u + (AHEAD * NV + j) * L);
#pragma GCC unroll 16
            for (int j = 0; j < NV; j++) right[j] = load<L>(u + j * L);
#pragma GCC unroll 16
            for (int i = 0; i < R; i++)
#pragma GCC unroll 16
                for (int j = 0; j < NV; j++) sum[i][j] = E::template add<L>(sum[i][j], v[i * K + k], right[j]);
        }
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 16
        for (int j = 0; j < NV; j++) store<L>(m + i * width + j * L, sum[i][j]);
}

// dU of R in channels and one panel += the sum over `count` elements of tiles.
template <class E, int L, int NV, int R, int LV>
void accumulate(const typename E::type* v, const typename E::type* d, int64_t count, float* du, int64_t cout) {
    Vec<L> sum[R][NV];
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 16
        for (int j = 0; j < NV; j++) sum[i][j] = load<L>(du + i * cout + j * L);
    for (int64_t t = 0; t < count; t++, v += LV, d += NV * L) {
        typename E::template Register<L> right[NV];
#pragma GCC unroll 16
        for (int j = 0; j < NV; j++) right[j] = load<L>(d + j * L);
#pragma GCC unroll 16
        for (int i = 0; i < R; i++)
#pragma GCC unroll 16
            for (int j = 0; j < NV; j++) sum[i][j] = E::template add<L>(sum[i][j], v[i], right[j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 16
        for (int j = 0; j < NV; j++) store<L>(du + i * cout + j * L, sum[i][j]);
}

#ifdef TILES
// M of 32 tiles and one panel, as `multiply`: `low_v` and `low_u` elements behind lie the parts that rounding lost.
template <class E, int L, int NV>
void multiply_tiles(const std::int32_t* v, int64_t depth, int64_t block, int64_t blocks, int64_t low_v,
                    const std::int32_t* u, int64_t low_u, float* m, int64_t width) {
    auto columns = [=]<bool WIDE>(int j) {
        using B = Block<true, WIDE>;
        const std::int32_t *left = v, *below = v + TALL * depth, *right = u + j * L;
        B::zero();
        for (int64_t b = 0; b < blocks; b++, left += block, below += block, right += depth * NV * L) {
            B::load_left(left, below, depth * 4);
            if constexpr (E::parts == 2) {
                B::load_right(right + low_u, right + low_u + L, NV * L * 4);
                B::add();
            }
            B::load_right(right, right + L, NV * L * 4);
            B::add();
            if constexpr (E::parts == 2) {
                B::load_left(left + low_v, below + low_v, depth * 4);
                B::add();
            }
        }
        B::store_sums(m + j * L, m + TALL * width + j * L, L, width * 4);
    };
    for (int j = 0; j + 1 < NV; j += 2) columns.template operator()<true>(j);
    if constexpr (NV % 2) columns.template operator()<false>(NV - 1);
}

// dU of one of the 36, [cin][cout], += the sum over `count` elements of tiles; V and D have room for `elements`.
template <int LV, int L, int NV>
void accumulate_tiles(std::int32_t* v, std::int32_t* d, int64_t count, int64_t elements, float* du, int64_t cin,
                      int64_t cout) {
    constexpr int panel = L * NV;
    int64_t whole = (count + TALL - 1) / TALL * TALL;
    for (int64_t i = 0; i < cin; i += LV) std::fill(v + i * elements + count * LV, v + i * elements + whole * LV, 0);
    for (int64_t c = 0; c < cout; c += panel)
        std::fill(d + c * elements + count * panel, d + c * elements + whole * panel, 0);
    auto* turned = scratch<std::int32_t>(3, 2 * LV * whole);
    Registers registers(LV, TALL, L);
    for (int64_t i = 0; i < cin; i += 2 * LV) {
        bool two = i + LV < cin;
        for (int half = 0; half <= two; half++)
            for (int64_t k = 0; k < whole; k += TALL)
                turn<LV>(v + (i + half * LV) * elements + k * LV, turned + (half * whole + k) * LV);
        auto columns = [=]<bool TWO, bool WIDE>(int64_t c, int j) {
            using B = Block<TWO, WIDE>;
            float *sums = du + i * cout + c + j * L, *below = sums + LV * cout;
            const std::int32_t *left = turned, *right = d + c * elements + j * L;
            B::load_sums(sums, below, L, cout * 4);
            for (int64_t k = 0; k < whole; k += TALL, left += TALL * LV, right += TALL * panel) {
                B::load_left(left, left + whole * LV, TALL * 4);
                B::load_right(right, right + L, panel * 4);
                B::add();
            }
            B::store_sums(sums, below, L, cout * 4);
        };
        auto panels = [=]<bool TWO>() {
            for (int64_t c = 0; c < cout; c += panel) {
                for (int j = 0; j + 1 < NV; j += 2) columns.template operator()<TWO, true>(c, j);
                if constexpr (NV % 2) columns.template operator()<TWO, false>(c, NV - 1);
            }
        };
        if (two) panels.template operator()<true>();
        else panels.template operator()<false>();
    }
}
#endif

inline int64_t tiles_in_block(int64_t bytes_each, int64_t all, int rows, int threads) {
    int64_t fit = kept_bytes() / bytes_each, share = (all + threads - 1) / threads;
    return std::max<int64_t>(1, (std::min(fit, share) + rows - 1) / rows) * rows;
}

template <class E, int LV, int L, int NV>
void forward(const Shape& s, const float* x, const typename E::type* u, float* y, int threads) {
    constexpr int panel = L * NV, N = E::numbers;
    int64_t chunk = s.cout <= CHUNK ? s.cout : CHUNK / panel * panel, row = s.cin / N, block = side_by_side<E, LV>(s.cin);
    int64_t room = tiles_in_block(F * 4 * (row * E::parts + chunk), s.tiles(), E::rows, threads);
    int64_t v_stride = row * E::parts * room + 16, m_stride = chunk * room + 16;  // + 16: no two of the 36 in one cache set
    int64_t blocks = (s.tiles() + room - 1) / room, depth = block / N;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t b = 0; b < blocks; b++) {
        auto* v = scratch<typename E::type>(0, F * v_stride);
        auto* m = scratch<float>(1, F * m_stride);
        int64_t first = b * room, count = std::min(room, s.tiles() - first);
        transform_input<E, LV>(s, x, first, count, room, block, v_stride, v);
        for (int64_t channel = 0; channel < s.cout; channel += chunk) {
            int64_t width = std::min(chunk, s.cout - channel);
            auto each = [&](auto product) {
                for (int64_t f = 0; f < F; f++)
                    for (int64_t c = 0; c < width; c += panel)
                        for (int64_t t = 0; t < count; t += E::rows)
                            product(v + f * v_stride + t * depth, u + (f * s.cout + channel + c) * row,
                                    m + f * m_stride + t * width + c);
            };
            if constexpr (!E::tiled)
                each([&](const auto* from, const auto* by, float* to) {
                    multiply<E, L, NV, ROWS, LV / N>(from, room * depth, s.cin / block, by, to, width);
                });
#ifdef TILES
            else {
                Registers registers(TALL, depth, L);
                each([&](const auto* from, const auto* by, float* to) {
                    multiply_tiles<E, L, NV>(from, depth, room * depth, s.cin / block, row * room, by, F * s.cout * row,
                                             to, width);
                });
            }
#endif
            transform_output<L>(s, m, first, count, m_stride, channel, width, y);
        }
    }
}

template <class E, int LV, int L, int NV>
void gradient(const Shape& s, const float* x, const float* dy, float* dw, float* v_, float* d_, float* du, int64_t room,
              int threads) {
    constexpr int panel = L * NV, N = E::numbers;
    constexpr int64_t some = 8;  // tiles that a thread transforms at a time
    auto *v = reinterpret_cast<typename E::type*>(v_), *d = reinterpret_cast<typename E::type*>(d_);
    int64_t elements = room / N, v_stride = s.cin * elements + 16, d_stride = s.cout * elements + 16;
#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < s.tiles(); first += room) {
        int64_t end = std::min(first + room, s.tiles());
#pragma omp for schedule(dynamic, 1)
        for (int64_t begin = first; begin < end; begin += some)
            for (int64_t tile = begin; tile < std::min(end, begin + some); tile += N) {
                int64_t at = (tile - first) / N;
                for (int64_t later = tile + SOON; later < tile + SOON + N; later++) {
                    fetch<0>(s, later, x, s.h, s.w, s.cin, s.cin);
                    fetch<0>(s, later, dy, s.out_h(), s.out_w(), s.cout, s.cout);
                }
                for (int64_t c = 0; c < s.cin; c += LV)
                    store_tiles<E, LV>(tile, end, v_stride, v + (c / LV * elements + at) * LV, 0,
                                       [&](int64_t t, auto sink) { input_tile<LV>(s, x, t, c, sink); });
                for (int64_t c = 0; c < s.cout; c += L)
                    store_tiles<E, L>(tile, end, d_stride, d + (c / panel * elements + at) * panel + c % panel, 0,
                                      [&](int64_t t, auto sink) { gradient_tile<L>(s, dy, t, c, sink); });
            }
#pragma omp for schedule(dynamic, 1)
        for (int64_t f = 0; f < F; f++) {
            float* own = du + f * s.cin * s.cout;
            if (first == 0) std::fill(own, own + s.cin * s.cout, 0.0f);
            int64_t count = (end - first + N - 1) / N;
            if constexpr (!E::tiled)
                for (int64_t i = 0; i < s.cin; i += LINES)
                    for (int64_t c = 0; c < s.cout; c += panel)
                        accumulate<E, L, NV, LINES, LV>(v + f * v_stride + i / LV * elements * LV + i % LV,
                                                        d + f * d_stride + c * elements, count, own + i * s.cout + c,
                                                        s.cout);
#ifdef TILES
            else accumulate_tiles<LV, L, NV>(v + f * v_stride, d + f * d_stride, count, elements, own, s.cin, s.cout);
#endif
        }
    }
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < s.cin; i++)
        for (int64_t c = 0; c < s.cout; c += L) {
            Vec<L> rows[6][3], line[6], done[3];
            int64_t each = s.cin * s.cout, at = i * s.cout + c;
            for (int k = 0; k < 6; k++) {
                for (int j = 0; j < 6; j++) line[j] = load<L>(du + (k * 6 + j) * each + at);
                weight_line_adjoint(line, rows[k]);
            }
            for (int j = 0; j < 3; j++) {
                for (int k = 0; k < 6; k++) line[k] = rows[k][j];
                weight_line_adjoint(line, done);
                for (int k = 0; k < 3; k++) store<L>(dw + (k * 3 + j) * each + at, done[k]);
            }
        }
}

// U of one in channel, L out channels from c on: sink(which, numbers).
template <int L, class Sink>
inline void weight_tile(const float* w, int64_t cin, int64_t cout, int64_t i, int64_t c, Sink sink) {
    Vec<L> rows[3][6], line[3], done[6];
    for (int k = 0; k < 3; k++) {
        for (int j = 0; j < 3; j++) line[j] = load<L>(w + ((k * 3 + j) * cin + i) * cout + c);
        weight_line(line, rows[k]);
    }
    for (int j = 0; j < 6; j++) {
        for (int k = 0; k < 3; k++) line[k] = rows[k][j];
        weight_line(line, done);
        for (int k = 0; k < 6; k++) sink(k * 6 + j, done[k]);
    }
}

template <class E, int L>
void weights(const float* w, typename E::type* u, int64_t cin, int64_t cout, int panel, int threads) {
    constexpr int N = E::numbers;
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < cin; i += N)
        for (int64_t c = 0; c < cout; c += L)
            store_tiles<E, L>(i, cin, cin * cout / N, u + (c / panel * panel * cin + i * panel) / N + c % panel,
                              F * cin * cout / N, [&](int64_t k, auto sink) { weight_tile<L>(w, cin, cout, k, c, sink); });
}

// Calls `work` with the lanes of both sides and the registers of a panel as constants.
template <class Work> void choose(int64_t cin, int64_t cout, Work work) {
    auto right = [&](auto left) {
        constexpr int LV = decltype(left)::value;
        auto panels = [&](auto side) {
            constexpr int L = decltype(side)::value;
            switch (registers(cout)) {
                case 2: return work.template operator()<LV, L, 2>();
                case 3: return work.template operator()<LV, L, 3>();
                default: return work.template operator()<LV, L, 1>();
            }
        };
        if (lanes(cout) == WIDEST) return panels(std::integral_constant<int, WIDEST>());
        return panels(std::integral_constant<int, 8>());
    };
    if (lanes(cin) == WIDEST) return right(std::integral_constant<int, WIDEST>());
    return right(std::integral_constant<int, 8>());
}

// 0: Exact, 1: Halves, 2: Split.
template <class Work> void by_numbers(int numbers, Work work) {
#ifdef HALVES
    if (numbers == 1) return work.template operator()<Halves>();
#endif
#ifdef TILES
    if (numbers == 2) return work.template operator()<Split>();
#endif
    work.template operator()<Exact>();
}

}  // namespace

extern "C" {

// The highest of `numbers` below that this processor has.
int winograd_numbers() {
#if defined(TILES)
    return tiles_permitted() ? 2 : 0;
#elif defined(HALVES)
    return 1;
#else
    return 0;
#endif
}

// w [3][3][cin][cout] to u [36 · cin · cout], rounded to bf16 (and half as long) with Halves.
void winograd_weights(const float* w, float* u, int64_t cin, int64_t cout, int numbers, int threads) {
    int panel = lanes(cout) * registers(cout);
    by_numbers(numbers, [&]<class E>() {
        auto* to = reinterpret_cast<typename E::type*>(u);
        if (lanes(cout) == WIDEST) weights<E, WIDEST>(w, to, cin, cout, panel, threads);
        else weights<E, 8>(w, to, cin, cout, panel, threads);
    });
}

// x [n][h][w][cin] to y [n][h + 2·pad − 2][w + 2·pad − 2][cout]; u of the same numbers.
void winograd_forward(const float* x, const float* u, float* y, int64_t n, int64_t h, int64_t w, int64_t cin,
                      int64_t cout, int64_t pad, int numbers, int threads) {
    Shape s{n, h, w, cin, cout, pad};
    by_numbers(numbers, [&]<class E>() {
        auto* from = reinterpret_cast<const typename E::type*>(u);
        choose(cin, cout, [&]<int LV, int L, int NV>() { forward<E, LV, L, NV>(s, x, from, y, threads); });
    });
}

// The gradient of the weights, dw [3][3][cin][cout], from x and dy [n][h + 2·pad − 2][w + 2·pad − 2][cout]; Exact or Halves.
void winograd_gradient(const float* x, const float* dy, float* dw, int64_t n, int64_t h, int64_t w, int64_t cin,
                       int64_t cout, int64_t pad, int halves, int threads) {
    Shape s{n, h, w, cin, cout, pad};
    by_numbers(halves != 0, [&]<class E>() {
        int64_t fit = 2 * kept_bytes() / (F * 4 * (cin + cout)), worth = 2 * cin * cout / (cin + cout);  // dU is read once a round
        int64_t room = std::min(std::max<int64_t>({fit, worth, 32}), s.tiles()) * E::numbers;
        room = (room + E::whole - 1) / E::whole * E::whole;
        auto* v = scratch<float>(0, F * (cin * room + 16));
        auto* d = scratch<float>(1, F * (cout * room + 16));
        auto* du = scratch<float>(2, F * cin * cout);
        choose(cin, cout, [&]<int LV, int L, int NV>() {
            gradient<E, LV, L, NV>(s, x, dy, dw, v, d, du, room, threads);
        });
    });
}

}
