// The 3×3 convolutions of a residual block on matrix registers, with what stands between them: bf16 in memory, sums in
// fp32, NHWC, stride 1, one pixel of zeros around; channels in multiples of 16.
//
// Between convolutions a block is bound by memory, so that each number is read and written as seldom as can be: an image is
// normalised and activated while it is copied into a padded one that stays in the cache, the sums that the next
// norm wants are taken of the outputs as they leave, and the gradient of a norm is made while it is read.
//
//   outputs              y[q] = Σ over rows of the filter: span of x at q + row · width, times U[row]
//   images' gradient     the same function of dy with turned filters
//   filters' gradient    dw[row][column][c] = Σ over q: x[q + row · width + column][c] · dy[q]
//
// In a padded image all that a row of a filter sees, 3 pixels of `cin` channels, lies side by side in memory: a register of
// left factors is 16 such spans, read where they are. Positions are counted along the padded rows; those from which a
// filter would hang over the end of a row are computed too, and thrown away.
//
// Images go in groups whose size follows from the shape and the cache, and sums run over groups in order: threads do not
// change a bit.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "activations.h"
#include "memory.h"
#include "tiles.h"

#ifdef TILES
namespace {

using std::int64_t;
using Bits = std::uint16_t;  // of a bf16

struct Shape {  // of a convolution
    int64_t n, h, w, cin, cout;
    int64_t height() const { return h + 2; }
    int64_t width() const { return w + 2; }
    int64_t pixels() const { return height() * width(); }
    int64_t chunks() const { return (3 * cin + 31) / 32; }  // registers in which a span fits
    int64_t positions() const { return (h - 1) * width() + w; }
    int64_t slack() const { return 2 * width() + 2 * TALL + 32; }  // pixels behind the last that may be read
    Shape turned() const { return {n, h, w, cout, cin}; }
};

// A convolution's weights in bf16, [cout][cin][3][3] with any strides; `turned` for the gradient of images.
struct Weights {
    const Bits* at;
    int64_t by_out, by_in, by_row, by_column;
    Weights turned() const { return {at + 2 * (by_row + by_column), by_in, by_out, -by_row, -by_column}; }
};

// What a norm does to each channel: x · scale + shift; kept as [scale, shift, mean, 1 / deviation][channels], or null.
struct Norm {
    const float *scale, *shift, *mean, *inverse;
    Norm(const float* kept, int64_t channels)
        : scale(kept), shift(kept + channels), mean(kept + 2 * channels), inverse(kept + 3 * channels) {}  // or scale is null
};

// A norm's gradient from that behind it: g · a + y · b + c, y what the norm saw.
struct Slopes {
    std::vector<float> a, b, c;
    Slopes(const Norm& norm, const float* of_scale, const float* of_shift, int64_t channels, int64_t rows)
        : a(channels), b(channels), c(channels) {
        for (int64_t i = 0; i < channels; i++) {
            float tilt = of_scale[i] * norm.inverse[i] / rows;
            a[i] = norm.scale[i];
            b[i] = -a[i] * tilt;
            c[i] = a[i] * (norm.mean[i] * tilt - of_shift[i] / rows);
        }
    }
};

constexpr int L = 16;
constexpr int64_t SHARES = 32;  // groups at least, so that threads end together
constexpr int64_t PIECES = 64, PARTIAL = 1 << 20;  // parts of the images that are summed apart, and numbers in all of them
constexpr int64_t AHEAD = 512;  // numbers
constexpr int64_t FIRST_LEVEL = 1 << 14;  // numbers in bf16 that stay in the first level of the cache

inline Vec<L> read(const Bits* p) { return load<L>(reinterpret_cast<const Half*>(p)); }
inline Vec<L> next(const Bits* p) {  // what is read in order is fetched before it is needed: a quarter less time
    __builtin_prefetch(p + AHEAD);
    return read(p);
}
inline void write(Bits* p, Vec<L> v) { store<L>(reinterpret_cast<Half*>(p), v); }

// Fills the middle of a padded image, zeros around: make(c) gives the function from a place in the image to L channels.
template <class Make> void pad_image(const Shape& s, int64_t channels, Bits* to, Make make) {
    int64_t row = s.width() * channels;
    std::fill(to, to + row + channels, 0);
    to += row + channels;
    for (int64_t y = 0; y < s.h; y++, to += row) {
        for (int64_t c = 0; c < channels; c += L) {
            auto number = make(c);
            for (int64_t x = 0; x < s.w; x++) write(to + x * channels + c, number((y * s.w + x) * channels + c));
        }
        std::fill(to + s.w * channels, to + row, 0);  // this row's right edge and the next one's left
    }
    std::fill(to, to + row - channels, 0);
}

// U [3][chunks · 16][cout], each element two neighbours along the span, zeros behind it.
std::vector<std::int32_t> prepared(const Shape& s, const Weights& w, int threads) {
    int64_t lines = s.chunks() * TALL;
    std::vector<std::int32_t> u(3 * lines * s.cout);
#pragma omp parallel for num_threads(threads)
    for (int64_t line = 0; line < 3 * lines; line++)
        for (int64_t half = 0; half < 2; half++) {
            int64_t j = line % lines * 2 + half;
            if (j >= 3 * s.cin) continue;
            const Bits* from = w.at + line / lines * w.by_row + j / s.cin * w.by_column + j % s.cin * w.by_in;
            for (int64_t o = 0; o < s.cout; o++) u[line * s.cout + o] |= from[o * w.by_out] << (16 * half);
        }
    return u;
}

// An image as the convolution sees it.
template <int A> void pad_input(const Shape& s, const Bits* x, const Norm& norm, Bits* to) {
    if (!norm.scale) return pad_image(s, s.cin, to, [=](int64_t) { return [=](int64_t at) { return next(x + at); }; });
    pad_image(s, s.cin, to, [=](int64_t c) {
        return [=, scale = load<L>(norm.scale + c), shift = load<L>(norm.shift + c)](int64_t at) {
            return activate<A, L>(next(x + at) * scale + shift);
        };
    });
}

// The gradient of the convolution's outputs.
void pad_gradient(const Shape& s, const Bits* g, const Bits* y, const Slopes& by, Bits* to) {
    pad_image(s, s.cout, to, [=, &by](int64_t channel) {
        return [=, a = load<L>(&by.a[channel]), b = load<L>(&by.b[channel]), c = load<L>(&by.c[channel])](int64_t at) {
            return next(g + at) * a + next(y + at) * b + c;
        };
    });
}

// Sums of all of an image's positions for L or 2 L output channels from c on: done(place, c, numbers).
template <bool WIDE, class Done>
void products(const Shape& s, const Bits* image, const std::int32_t* u, int64_t c, Done done) {
    constexpr int columns = WIDE ? 2 * L : L;
    alignas(64) float sums[2 * TALL][columns];
    auto some = [&]<bool TWO>(int64_t q) {
        using B = Block<TWO, WIDE>;
        const std::int32_t* right = u + c;
        B::zero();
        for (int64_t row = 0; row < 3; row++) {
            const Bits* left = image + (q + row * s.width()) * s.cin;
            for (int64_t chunk = 0; chunk < s.chunks(); chunk++, left += 32, right += TALL * s.cout) {
                B::load_left(left, left + TALL * s.cin, s.cin * 2);
                B::load_right(right, right + L, s.cout * 4);
                B::add();
            }
        }
        B::store_sums(sums[0], sums[TALL], L, columns * 4);
    };
    int64_t across = 0, down = 0;
    for (int64_t q = 0; q < s.positions(); q += 2 * TALL) {
        if (q + TALL < s.positions()) some.template operator()<true>(q);
        else some.template operator()<false>(q);
        int64_t end = std::min<int64_t>(2 * TALL, s.positions() - q);
        for (int64_t i = 0; i < end;) {  // to the end of the row
            int64_t whole = std::min(end - i, s.w - across);
            for (int64_t k = 0; k < whole; k++)
                for (int j = 0; j < columns; j += L)
                    done((down * s.w + across + k) * s.cout + c + j, j / L, load<L>(sums[i + k] + j));
            i += std::max<int64_t>(whole, 0), across += std::max<int64_t>(whole, 0);
            int64_t over = std::min(end - i, s.width() - across);  // what hangs over
            if (across >= s.w) i += over, across += over;
            if (across == s.width()) across = 0, down++;
        }
    }
}

// Two sums for each channel, over a group's images, to out [2][channels].
struct Sums {
    Vec<L> one[2] = {}, two[2] = {};
    void add(int side, Vec<L> a, Vec<L> b) { one[side] += a, two[side] += b; }
    void keep(float* out, int64_t channels, int64_t c, bool wide) const {
        for (int side = 0; side <= wide; side++) {
            store<L>(out + c + side * L, one[side]);
            store<L>(out + channels + c + side * L, two[side]);
        }
    }
};

void sum_groups(const std::vector<float>& partial, int64_t channels, std::vector<double>& out) {
    out.assign(2 * channels, 0.0);
    for (size_t i = 0; i < partial.size(); i++) out[i % (2 * channels)] += partial[i];
}

int64_t images_at_once(const Shape& s, int64_t bytes_each) {
    return std::clamp<int64_t>(kept_bytes() / bytes_each, 1, (s.n + SHARES - 1) / SHARES);
}

// The norm behind a convolution: its weights, what it becomes (as `Norm` reads it), and its running statistics.
struct After {
    const float *weight, *bias;
    float *kept, *running_mean, *running_variance;
    double eps, momentum;
    void take(int64_t c, int64_t channels, double sum, double squares, int64_t rows) const {
        double mean = sum / rows, variance = std::max(0.0, squares / rows - mean * mean);
        float inverse = static_cast<float>(1 / std::sqrt(variance + eps)), scale = weight[c] * inverse;
        kept[c] = scale;
        kept[channels + c] = static_cast<float>(bias[c] - mean * scale);
        kept[2 * channels + c] = static_cast<float>(mean);
        kept[3 * channels + c] = inverse;
        double unbiased = variance * rows / std::max<int64_t>(1, rows - 1);
        running_mean[c] += static_cast<float>(momentum * (mean - running_mean[c]));
        running_variance[c] += static_cast<float>(momentum * (unbiased - running_variance[c]));
    }
};

template <int A>
void forward(const Shape& s, const Bits* x, const Norm& norm, const Weights& weights, Bits* y, const After& after,
             int threads) {
    auto filters = prepared(s, weights, threads);
    const std::int32_t* u = filters.data();
    int64_t stride = s.pixels() * s.cin, group = images_at_once(s, stride * 2), groups = (s.n + group - 1) / group;
    std::vector<float> partial(groups * 2 * s.cout);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t g = 0; g < groups; g++) {
        int64_t first = g * group, count = std::min(group, s.n - first);
        auto* padded = scratch<Bits>(0, group * stride + s.slack() * s.cin);
        for (int64_t i = 0; i < count; i++)
            pad_input<A>(s, x + (first + i) * s.h * s.w * s.cin, norm, padded + i * stride);
        std::fill(padded + count * stride, padded + count * stride + s.slack() * s.cin, 0);
        Registers registers(TALL, TALL, L);
        for (int64_t c = 0; c < s.cout; c += 2 * L) {
            bool wide = c + L < s.cout;
            Sums sums;
            for (int64_t i = 0; i < count; i++) {
                Bits* to = y + (first + i) * s.h * s.w * s.cout;
                auto done = [&](int64_t at, int side, Vec<L> v) {
                    v = rounded<L>(v);
                    write(to + at, v);
                    sums.add(side, v, v * v);
                };
                if (wide) products<true>(s, padded + i * stride, u, c, done);
                else products<false>(s, padded + i * stride, u, c, done);
            }
            sums.keep(&partial[g * 2 * s.cout], s.cout, c, wide);
        }
    }
    std::vector<double> sums;
    sum_groups(partial, s.cout, sums);
    for (int64_t c = 0; c < s.cout; c++) after.take(c, s.cout, sums[c], sums[s.cout + c], s.n * s.h * s.w);
}

// [pixels][channels] to [channels][stride], 32 pixels.
void turn_pixels(const Bits* from, int64_t channels, Bits* to, int64_t stride) {
    for (int64_t c = 0; c < channels; c += L) {
        std::int32_t pairs[TALL * L], turned[TALL * L];
        for (int i = 0; i < TALL; i++)
            store<L>(pairs + i * L, zip<L>(from + 2 * i * channels + c, from + (2 * i + 1) * channels + c));
        turn<L>(pairs, turned);
        for (int i = 0; i < L; i++) std::memcpy(to + (c + i) * stride, turned + i * TALL, 64);
    }
}

// dU += what some images add, [3][3][cin][cout], from images [cin][stride] and pairs of their outputs' gradients.
void accumulate(const Shape& s, const Bits* x, int64_t stride, const std::int32_t* dy, int64_t length, float* du) {
    int64_t blocks = s.cin / TALL, units = 9 * blocks;
    auto place = [=](int64_t unit) {  // 16 channels, as one pixel of the filter sees them
        int64_t pixel = unit / blocks;
        return x + unit % blocks * TALL * stride + pixel / 3 * s.width() + pixel % 3;
    };
    int64_t some = std::max<int64_t>(FIRST_LEVEL / (s.cin + s.cout) / 32, 4) * 32;  // positions that stay in the cache for all units
    for (int64_t begin = 0; begin < length; begin += some)
        for (int64_t unit = 0; unit < units; unit += 2)
            for (int64_t c = 0; c < s.cout; c += 2 * L)
                blocks_of(unit + 1 < units, c + L < s.cout, [&]<bool TWO, bool WIDE>() {
                    using B = Block<TWO, WIDE>;
                    float *sums = du + unit * TALL * s.cout + c, *below = sums + TALL * s.cout;
                    const Bits *left = place(unit), *second = TWO ? place(unit + 1) : left;
                    B::load_sums(sums, below, L, s.cout * 4);
                    for (int64_t q = begin; q < std::min(length, begin + some); q += 32) {
                        const std::int32_t* right = dy + q / 2 * s.cout + c;
                        B::load_left(left + q, second + q, stride * 2);
                        B::load_right(right, right + L, s.cout * 4);
                        B::add();
                    }
                    B::store_sums(sums, below, L, s.cout * 4);
                });
}

// Of a group's images: their filters' gradient into du, and their own, act' and sums with a norm, `extra` added without.
template <int A>
void backward_group(const Shape& s, int64_t first, int64_t count, int64_t group, const Bits* g, const Bits* y,
                    const Slopes& by, const Bits* x, const Norm& norm, const Bits* extra, const std::int32_t* u, float* du, Bits* gx,
                    float* sums_out) {
    int64_t in = s.pixels() * s.cin, out = s.pixels() * s.cout, map = s.h * s.w;
    int64_t length = (count * s.pixels() + 31) / 32 * 32, whole = (length + 2 * s.width() + 2 + 31) / 32 * 32;
    int64_t stride = (group * s.pixels() + s.slack() + 63) / 64 * 64 + 32;  // an odd number of lines: no cache set twice
    auto* images = scratch<Bits>(0, group * in + s.slack() * s.cin + 64 * s.cin);
    auto* turned = scratch<Bits>(1, s.cin * stride);
    auto* gradients = scratch<Bits>(2, group * out + s.slack() * s.cout + 64 * s.cout);
    auto* pairs = scratch<std::int32_t>(3, (group * s.pixels() + 32) / 2 * s.cout);
    for (int64_t i = 0; i < count; i++) {
        int64_t from = (first + i) * map;
        pad_input<A>(s, x + from * s.cin, norm, images + i * in);
        pad_gradient(s, g + from * s.cout, y + from * s.cout, by, gradients + i * out);
    }
    std::fill(images + count * in, images + whole * s.cin, 0);
    std::fill(gradients + count * out, gradients + count * out + s.slack() * s.cout + 32 * s.cout, 0);
    for (int64_t q = 0; q < whole; q += 32) turn_pixels(images + q * s.cin, s.cin, turned + q, stride);
    for (int64_t q = 0; q < length; q += 2) {
        const Bits* from = gradients + (q + s.width() + 1) * s.cout;
        for (int64_t c = 0; c < s.cout; c += L) store<L>(pairs + q / 2 * s.cout + c, zip<L>(from + c, from + s.cout + c));
    }
    Registers registers(TALL, TALL, L);
    accumulate(s, turned, stride, pairs, length, du);
    Shape back = s.turned();
    for (int64_t c = 0; c < s.cin; c += 2 * L) {
        bool wide = c + L < s.cin;
        Sums sums;
        Vec<L> scale[2] = {}, shift[2] = {}, mean[2] = {};
        for (int side = 0; side <= wide && norm.scale; side++) {
            scale[side] = load<L>(norm.scale + c + side * L);
            shift[side] = load<L>(norm.shift + c + side * L);
            mean[side] = load<L>(norm.mean + c + side * L);
        }
        for (int64_t i = 0; i < count; i++) {
            int64_t from = (first + i) * map * s.cin;
            auto plain = [&](int64_t at, int, Vec<L> v) { write(gx + from + at, extra ? v + read(extra + from + at) : v); };
            auto sloped = [&](int64_t at, int side, Vec<L> v) {
                Vec<L> seen = read(x + from + at);
                v = rounded<L>(v * slope<A, L>(seen * scale[side] + shift[side]));
                write(gx + from + at, v);
                sums.add(side, v, v * (seen - mean[side]));
            };
            const Bits* image = gradients + i * out;
            if (norm.scale) wide ? products<true>(back, image, u, c, sloped) : products<false>(back, image, u, c, sloped);
            else wide ? products<true>(back, image, u, c, plain) : products<false>(back, image, u, c, plain);
        }
        if (norm.scale) sums.keep(sums_out, s.cin, c, wide);
    }
}

template <int A>
void backward(const Shape& s, const Bits* g, const Bits* y, const Slopes& by, const Bits* x, const Norm& norm,
              const Bits* extra, const Weights& weights, Bits* dw, Bits* gx, float* of_scale, float* of_shift, int threads) {
    auto filters = prepared(s.turned(), weights.turned(), threads);
    int64_t numbers = 9 * s.cin * s.cout, group = images_at_once(s, s.pixels() * (s.cin + s.cout) * 4);
    int64_t groups = (s.n + group - 1) / group, most = std::clamp<int64_t>(PARTIAL / numbers, 2, PIECES);
    int64_t piece = (groups + most - 1) / most, pieces = (groups + piece - 1) / piece;
    std::vector<float> partial(pieces * numbers), sums(groups * 2 * s.cin);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t p = 0; p < pieces; p++)
        for (int64_t k = p * piece; k < std::min(groups, (p + 1) * piece); k++)
            backward_group<A>(s, k * group, std::min(group, s.n - k * group), group, g, y, by, x, norm, extra,
                              filters.data(), &partial[p * numbers], gx, &sums[k * 2 * s.cin]);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < 9 * s.cin; i++) {
        float* all = &partial[i * s.cout];
        for (int64_t p = 1; p < pieces; p++)
            for (int64_t o = 0; o < s.cout; o++) all[o] += partial[p * numbers + i * s.cout + o];
        Bits* to = dw + i / s.cin / 3 * weights.by_row + i / s.cin % 3 * weights.by_column + i % s.cin * weights.by_in;
        for (int64_t o = 0; o < s.cout; o += L) {
            Bits several[L];
            write(several, load<L>(all + o));
            for (int64_t k = 0; k < L; k++) to[(o + k) * weights.by_out] = several[k];
        }
    }
    if (!norm.scale) return;
    std::vector<double> all;
    sum_groups(sums, s.cin, all);
    for (int64_t c = 0; c < s.cin; c++) {
        of_shift[c] = static_cast<float>(all[c]);
        of_scale[c] = static_cast<float>(all[s.cin + c] * norm.inverse[c]);
    }
}

}  // namespace

extern "C" {

// y = conv(act(x · scale + shift)), `before` the norm [4][cin], or conv(x) with null; and what the norm behind it becomes,
// `after` [4][cout], its running statistics moved.
void block_forward(const Bits* x, const float* before, const Bits* weight, Bits* y, const float* scale, const float* shift,
                   float* after, float* running_mean, float* running_variance, double eps, double momentum, int64_t n,
                   int64_t h, int64_t w, int64_t cin, int64_t cout, int64_t by_out, int64_t by_in, int64_t by_row,
                   int64_t by_column, int activation, int threads) {
    by_activation(activation, [&]<int A>() {
        forward<A>({n, h, w, cin, cout}, x, {before, cin}, {weight, by_out, by_in, by_row, by_column}, y,
                   {scale, shift, after, running_mean, running_variance, eps, momentum}, threads);
    });
}

// From the gradient g behind the norm `after` of the outputs y, and that norm's own: the weights' gradient dw, strides as
// `weight`, and gx, that of what the convolution was given: of conv(x) with `extra` (or null) added; of
// conv(act(x · scale + shift)) that behind the norm `before`, and the gradient of this norm, of_scale and of_shift.
void block_backward(const Bits* g, const Bits* y, const float* after, const float* of_scale_after, const float* of_shift_after,
                    const Bits* x, const float* before, const Bits* extra, const Bits* weight, Bits* dw, Bits* gx,
                    float* of_scale, float* of_shift, int64_t n, int64_t h, int64_t w, int64_t cin, int64_t cout,
                    int64_t by_out, int64_t by_in, int64_t by_row, int64_t by_column, int activation, int threads) {
    Slopes by({after, cout}, of_scale_after, of_shift_after, cout, n * h * w);
    by_activation(activation, [&]<int A>() {
        backward<A>({n, h, w, cin, cout}, g, y, by, x, {before, cin}, extra, {weight, by_out, by_in, by_row, by_column}, dw,
                    gx, of_scale, of_shift, threads);
    });
}

// The gradient before a norm from g behind it, all [rows][channels].
void block_slopes(const Bits* g, const Bits* y, const float* after, const float* of_scale, const float* of_shift, Bits* out,
                  int64_t rows, int64_t channels, int threads) {
    Slopes by({after, channels}, of_scale, of_shift, channels, rows);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0, at = r * channels; c < channels; c += L, at += L)
            write(out + at, next(g + at) * load<L>(&by.a[c]) + next(y + at) * load<L>(&by.b[c]) + load<L>(&by.c[c]));
}

}
#endif
