// The 3×3 convolutions of a residual block on matrix registers, with what stands between them: bf16 in memory, sums in
// fp32, NHWC, one pixel of zeros around; channels in multiples of 16.
//
// Between convolutions a block is bound by memory, so that each number is read and written as seldom as can be: an image is
// normalised and activated while it is copied into a padded one that stays in the cache, the sums that the next
// norm wants are taken of the outputs as they leave, and the gradient of a norm is made while it is read.
//
//   outputs              y[q] = Σ over rows of the filter: span of x at q · step + row · width, times U[row]
//   images' gradient     the same function, of step 1, of dy with turned filters
//   filters' gradient    dw[row][column][c] = Σ over q: x[q + row · width + column][c] · dy[q]
//
// In a padded image all that a row of a filter sees, 3 pixels of `cin` channels, lies side by side in memory: a register of
// left factors is 16 such spans, read where they are. Positions are counted along the padded rows; those from which a
// filter would hang over the end of a row are computed too, and thrown away. With a step of 2 the outputs' gradient lies at
// every second place, zeros between: four times the products, and still little beside the memory's part.
//
// Images go in groups whose size follows from the shape and the cache, and sums run over groups in order: threads do not
// change a bit.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "activations.h"
#include "memory.h"
#include "tiles.h"

#ifdef TILES
namespace {

using std::int64_t;
using Bits = std::uint16_t;  // of a bf16
constexpr int L = 16;

struct Shape {  // of a convolution
    int64_t n, h, w, cin, cout, step;
    int64_t out_h() const { return (h - 1) / step + 1; }
    int64_t out_w() const { return (w - 1) / step + 1; }
    int64_t map() const { return h * w; }
    int64_t out_map() const { return out_h() * out_w(); }
    int64_t height() const { return h + 2; }
    int64_t width() const { return w + 2; }
    int64_t pixels() const { return height() * width(); }
    int64_t each() const { return cout % (2 * L) ? 2 : 1; }  // positions in a row of a register: two, or twice the channels
    int64_t chunks() const { return ((3 + (each() - 1) * step) * cin + 31) / 32; }  // registers in which their span fits
    int64_t positions() const { return (out_h() - 1) * width() + out_w(); }
    int64_t slack() const { return 2 * width() + 4 * TALL * step + 32; }  // pixels behind the last that may be read
    Shape turned() const { return {n, h, w, cout, cin, 1}; }
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
inline Vec<L> written(Bits* p, Vec<L> v) {  // and what it is now
    write(p, v);
    return read(p);
}

// Fills every step-th place each way in the middle of a padded image, zeros around and between: make(c) gives the function
// from a place in the filling to L channels.
template <class Make> void pad_image(const Shape& s, int64_t channels, int64_t step, Bits* to, Make make) {
    int64_t row = s.width() * channels, down = (s.h - 1) / step + 1, across = (s.w - 1) / step + 1;
    if (step > 1) std::fill(to, to + s.pixels() * channels, 0);
    std::fill(to, to + row + channels, 0);
    to += row + channels;
    for (int64_t y = 0; y < down; y++, to += step * row) {
        for (int64_t c = 0; c < channels; c += L) {
            auto number = make(c);
            for (int64_t x = 0; x < across; x++)
                write(to + x * step * channels + c, number((y * across + x) * channels + c));
        }
        if (step == 1) std::fill(to + s.w * channels, to + row, 0);  // this row's right edge and the next one's left
    }
    if (step == 1) std::fill(to, to + row - channels, 0);
}

// U [3][chunks · 16][cout / 16][each][16], an element two neighbours along the span, zeros where a position's filter is not.
std::vector<std::int32_t> prepared(const Shape& s, const Weights& w, int threads) {
    int64_t lines = s.chunks() * TALL, each = s.each(), columns = s.cout * each;
    std::vector<std::int32_t> u(3 * lines * columns);
#pragma omp parallel for num_threads(threads)
    for (int64_t line = 0; line < 3 * lines; line++)
        for (int64_t half = 0; half < 2; half++) {
            int64_t j = line % lines * 2 + half;
            for (int64_t which = 0; which < each; which++) {
                int64_t column = j / s.cin - which * s.step;
                if (column < 0 || column >= 3) continue;
                const Bits* from = w.at + line / lines * w.by_row + column * w.by_column + j % s.cin * w.by_in;
                for (int64_t o = 0; o < s.cout; o++)
                    u[line * columns + (o / L * each + which) * L + o % L] |= from[o * w.by_out] << (16 * half);
            }
        }
    return u;
}

// An image as the convolution sees it.
template <int A> void pad_input(const Shape& s, const Bits* x, const Norm& norm, Bits* to) {
    if (!norm.scale) return pad_image(s, s.cin, 1, to, [=](int64_t) { return [=](int64_t at) { return next(x + at); }; });
    pad_image(s, s.cin, 1, to, [=](int64_t c) {
        return [=, scale = load<L>(norm.scale + c), shift = load<L>(norm.shift + c)](int64_t at) {
            return activate<A, L>(next(x + at) * scale + shift);
        };
    });
}

// The gradient of the convolution's outputs, each at the place in the image that its filter was laid on.
void pad_gradient(const Shape& s, const Bits* g, const Bits* y, const Slopes& by, Bits* to) {
    pad_image(s, s.cout, s.step, to, [=, &by](int64_t channel) {
        return [=, a = load<L>(&by.a[channel]), b = load<L>(&by.b[channel]), c = load<L>(&by.c[channel])](int64_t at) {
            return next(g + at) * a + next(y + at) * b + c;
        };
    });
}

// Sums of all of an image's positions for the output channels of a register's columns, from c on: done(place, side, sums,
// count) for each row of pixels or part of one, 16 channels of it, `apart` floats between the pixels of `sums`.
template <class Done>
void products(const Shape& s, const Bits* image, const std::int32_t* u, int64_t c, int64_t apart, Done done) {
    using B = Block<true, true>;
    alignas(64) float sums[2 * TALL][2 * L];
    const int64_t each = s.each(), some = 2 * TALL * each, by = each * s.step * s.cin, columns = each * s.cout;
    const int64_t out_w = s.out_w(), width = s.width(), positions = s.positions();
    for (int64_t q = 0, across = 0, down = 0; q < positions; q += some) {
        const std::int32_t* right = u + c * each;
        B::zero();
        for (int64_t row = 0; row < 3; row++) {
            const Bits* left = image + (q * s.step + row * width) * s.cin;
            for (int64_t chunk = 0; chunk < s.chunks(); chunk++, left += 32, right += TALL * columns) {
                B::load_left(left, left + TALL * by, by * 2);
                B::load_right(right, right + L, columns * 4);
                B::add();
            }
        }
        B::store_sums(sums[0], sums[TALL], L, 2 * L * 4);
        for (int64_t i = 0, end = std::min(some, positions - q); i < end;) {  // to the end of the row
            int64_t count = std::min(end - i, across < out_w ? out_w - across : width - across);
            if (across < out_w)
                for (int64_t side = 0; side < apart / L; side++)
                    done((down * out_w + across) * s.cout + c + side * L, side, sums[0] + i * apart + side * L, count);
            i += count, across += count;
            if (across == width) across = 0, down++;
        }
    }
}

// Two sums for each channel, over a group's images, to out [2][channels].
struct Sums {
    Vec<L> one[2] = {}, two[2] = {};
    void add(int64_t side, Vec<L> a, Vec<L> b) { one[side] += a, two[side] += b; }
    void keep(float* out, int64_t channels, int64_t c, int64_t sides) const {
        for (int64_t side = 0; side < sides; side++) {
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
    int64_t* batches;
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
            pad_input<A>(s, x + (first + i) * s.map() * s.cin, norm, padded + i * stride);
        std::fill(padded + count * stride, padded + count * stride + s.slack() * s.cin, 0);
        Registers registers(TALL, TALL, L);
        const int64_t apart = 2 * L / s.each(), cout = s.cout;
        for (int64_t c = 0; c < cout; c += apart) {
            Sums sums;
            for (int64_t i = 0; i < count; i++) {
                Bits* to = y + (first + i) * s.out_map() * cout;
                products(s, padded + i * stride, u, c, apart, [&](int64_t at, int64_t side, const float* sum, int64_t pixels) {
                    Vec<L> one = {}, two = {};
                    for (int64_t k = 0; k < pixels; k++) {
                        Vec<L> v = written(to + at + k * cout, load<L>(sum + k * apart));
                        one += v, two += v * v;
                    }
                    sums.add(side, one, two);
                });
            }
            sums.keep(&partial[g * 2 * cout], cout, c, apart / L);
        }
    }
    std::vector<double> sums;
    sum_groups(partial, s.cout, sums);
    for (int64_t c = 0; c < s.cout; c++) after.take(c, s.cout, sums[c], sums[s.cout + c], s.n * s.out_map());
    ++*after.batches;
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

// The gradients of outputs as pairs of neighbours [positions / 2][cout], from every even position on and from every odd one,
// so that those that any pixel of a filter meets lie in whole lines of the cache.
struct Pairs {
    const std::int32_t* from[2];
    const std::int32_t* at(int64_t position, int64_t cout) const {
        int64_t odd = position & 1;
        return from[odd] + (position - odd) / 2 * cout;
    }
};

// dU += what some images add, [3][3][cin][cout], from padded images [cin][stride] and their outputs' gradients.
void accumulate(const Shape& s, const Bits* x, int64_t stride, const Pairs& pairs, int64_t length, float* du) {
    int64_t some = std::max<int64_t>(FIRST_LEVEL / (s.cin + 2 * s.cout) / 32, 4) * 32;  // positions that stay in the cache
    auto met = [&](int64_t pixel, int64_t q) { return pairs.at(q + (1 - pixel / 3) * s.width() + 1 - pixel % 3, s.cout); };
    for (int64_t begin = 0; begin < length; begin += some) {
        int64_t end = std::min(length, begin + some);
        if (s.cout == L) {
            for (int64_t in = 0; in < s.cin; in += TALL)
                for (int64_t pixel = 0; pixel < 9; pixel += 3) {
                    float* sums = du + (pixel * s.cin + in) * L;
                    const std::int32_t *a = met(pixel, begin), *b = met(pixel + 1, begin), *c = met(pixel + 2, begin);
                    Three::load_sums(sums, s.cin * L, L * 4);
                    for (int64_t q = begin; q < end; q += 32, a += TALL * L, b += TALL * L, c += TALL * L)
                        Three::add(x + in * stride + q, stride * 2, a, b, c, L * 4);
                    Three::store_sums(sums, s.cin * L, L * 4);
                }
            continue;
        }
        for (int64_t pixel = 0; pixel < 9; pixel++)
            for (int64_t in = 0; in < s.cin; in += 2 * TALL)
                for (int64_t c = 0; c < s.cout; c += 2 * L)
                    blocks_of(in + TALL < s.cin, c + L < s.cout, [&]<bool TWO, bool WIDE>() {
                        using B = Block<TWO, WIDE>;
                        float *sums = du + (pixel * s.cin + in) * s.cout + c, *below = sums + TALL * s.cout;
                        const Bits *left = x + in * stride, *second = TWO ? left + TALL * stride : left;
                        const std::int32_t* right = met(pixel, begin) + c;
                        B::load_sums(sums, below, L, s.cout * 4);
                        for (int64_t q = begin; q < end; q += 32, right += TALL * s.cout) {
                            B::load_left(left + q, second + q, stride * 2);
                            B::load_right(right, right + L, s.cout * 4);
                            B::add();
                        }
                        B::store_sums(sums, below, L, s.cout * 4);
                    });
    }
}

// An image's gradient += that of every step-th pixel, channels `begin` to `end`, of those that both have.
void add_shortcut(const Shape& s, const Bits* extra, Bits* gx, int64_t begin, int64_t end) {
    for (int64_t y = 0; y < s.out_h(); y++)
        for (int64_t x = 0; x < s.out_w(); x++)
            for (int64_t c = begin; c < std::min({end, s.cin, s.cout}); c += L) {
                Bits* to = gx + (y * s.step * s.w + x * s.step) * s.cin + c;
                write(to, read(to) + read(extra + (y * s.out_w() + x) * s.cout + c));
            }
}

// Of a group's images: their filters' gradient into du, and their own, act' and sums with a norm, `extra` added without one.
template <int A>
void backward_group(const Shape& s, int64_t first, int64_t count, int64_t group, const Bits* g, const Bits* y,
                    const Slopes& by, const Bits* x, const Norm& norm, const Bits* extra, const std::int32_t* u, float* du, Bits* gx,
                    float* sums_out) {
    int64_t in = s.pixels() * s.cin, out = s.pixels() * s.cout;
    int64_t length = (count * s.pixels() + 31) / 32 * 32, front = (s.width() + 3) / 2;  // front: pairs before the first
    int64_t stride = (group * s.pixels() + 63) / 64 * 64 + 32;  // an odd number of lines: no cache set twice
    int64_t half = (group * s.pixels() + 32) / 2 + 2 * front;
    auto* images = scratch<Bits>(0, (group * s.pixels() + 32) * s.cin);
    auto* turned = scratch<Bits>(1, s.cin * stride);
    auto* gradients = scratch<Bits>(2, group * out + s.slack() * s.cout + 32 * s.cout);
    auto* pairs = scratch<std::int32_t>(3, 2 * half * s.cout);
    for (int64_t i = 0; i < count; i++) {
        int64_t from = (first + i) * s.out_map() * s.cout;
        pad_input<A>(s, x + (first + i) * s.map() * s.cin, norm, images + i * in);
        pad_gradient(s, g + from, y + from, by, gradients + i * out);
    }
    std::fill(images + count * in, images + length * s.cin, 0);
    std::fill(gradients + count * out, gradients + count * out + s.slack() * s.cout + 32 * s.cout, 0);
    for (int64_t q = 0; q < length; q += 32) turn_pixels(images + q * s.cin, s.cin, turned + q, stride);
    Pairs met{pairs + front * s.cout, pairs + (half + front) * s.cout};
    for (int64_t odd = 0; odd < 2; odd++) {
        std::int32_t* to = pairs + odd * half * s.cout;
        const Bits* from = gradients + odd * s.cout;
        std::fill(to, to + front * s.cout, 0);
        to += front * s.cout;
        for (int64_t pair = 0; pair < length / 2 + front; pair++, from += 2 * s.cout)
            for (int64_t c = 0; c < s.cout; c += L, to += L) store<L>(to, zip<L>(from + c, from + s.cout + c));
    }
    Registers registers(TALL, TALL, L);
    accumulate(s, turned, stride, met, length, du);
    const Shape back = s.turned();
    const int64_t apart = 2 * L / back.each(), cin = s.cin;
    const bool same = extra && s.step == 1 && s.cin == s.cout;
    for (int64_t c = 0; c < cin; c += apart) {
        Sums sums;
        Vec<L> scale[2] = {}, shift[2] = {}, mean[2] = {};
        for (int64_t side = 0; side < apart / L && norm.scale; side++) {
            scale[side] = load<L>(norm.scale + c + side * L);
            shift[side] = load<L>(norm.shift + c + side * L);
            mean[side] = load<L>(norm.mean + c + side * L);
        }
        for (int64_t i = 0; i < count; i++) {
            int64_t from = (first + i) * s.map() * cin;
            auto plain = [&](int64_t at, int64_t, const float* sum, int64_t pixels) {
                for (int64_t k = 0, to = from + at; k < pixels; k++, to += cin) {
                    Vec<L> v = load<L>(sum + k * apart);
                    write(gx + to, same ? v + read(extra + to) : v);
                }
            };
            auto sloped = [&](int64_t at, int64_t side, const float* sum, int64_t pixels) {
                Vec<L> a = scale[side], b = shift[side], middle = mean[side], one = {}, two = {};
                for (int64_t k = 0, to = from + at; k < pixels; k++, to += cin) {
                    Vec<L> seen = read(x + to);
                    Vec<L> v = written(gx + to, load<L>(sum + k * apart) * slope<A, L>(seen * a + b));
                    one += v, two += v * (seen - middle);
                }
                sums.add(side, one, two);
            };
            if (norm.scale) products(back, gradients + i * out, u, c, apart, sloped);
            else products(back, gradients + i * out, u, c, apart, plain);
            if (extra && !same) add_shortcut(s, extra + (first + i) * s.out_map() * s.cout, gx + from, c, c + apart);
        }
        if (norm.scale) sums.keep(sums_out, cin, c, apart / L);
    }
}

template <int A>
void backward(const Shape& s, const Bits* g, const Bits* y, const Slopes& by, const Bits* x, const Norm& norm,
              const Bits* extra, const Weights& weights, Bits* dw, Bits* gx, float* of_scale, float* of_shift, int threads) {
    auto filters = prepared(s.turned(), weights.turned(), threads);
    int64_t numbers = 9 * s.cin * s.cout, group = images_at_once(s, s.pixels() * (s.cin + s.cout) * 4);
    int64_t groups = (s.n + group - 1) / group, most = std::clamp<int64_t>(PARTIAL / numbers, 2, PIECES);
    int64_t piece = (groups + most - 1) / most, pieces = (groups + piece - 1) / piece;
    std::unique_ptr<float[]> partial(new float[pieces * numbers]);  // not a vector, which one thread would fill with zeros
    std::vector<float> sums(groups * 2 * s.cin);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t p = 0; p < pieces; p++) {
        std::fill_n(&partial[p * numbers], numbers, 0.0f);
        for (int64_t k = p * piece; k < std::min(groups, (p + 1) * piece); k++)
            backward_group<A>(s, k * group, std::min(group, s.n - k * group), group, g, y, by, x, norm, extra,
                              filters.data(), &partial[p * numbers], gx, &sums[k * 2 * s.cin]);
    }
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
                   float* after, float* running_mean, float* running_variance, int64_t* batches, double eps,
                   double momentum, int64_t n, int64_t h, int64_t w, int64_t cin, int64_t cout, int64_t step, int64_t by_out, int64_t by_in,
                   int64_t by_row, int64_t by_column, int activation, int threads) {
    by_activation(activation, [&]<int A>() {
        forward<A>({n, h, w, cin, cout, step}, x, {before, cin}, {weight, by_out, by_in, by_row, by_column}, y,
                   {scale, shift, after, running_mean, running_variance, batches, eps, momentum}, threads);
    });
}

// From the gradient g behind the norm `after` of the outputs y, and that norm's own: the weights' gradient dw, strides as
// `weight`, and gx, that of what the convolution was given: of conv(x), `extra` (or null), of y's shape, added to every step-th pixel; of
// conv(act(x · scale + shift)) that behind the norm `before`, and the gradient of this norm, of_scale and of_shift.
void block_backward(const Bits* g, const Bits* y, const float* after, const float* of_scale_after, const float* of_shift_after,
                    const Bits* x, const float* before, const Bits* extra, const Bits* weight, Bits* dw, Bits* gx,
                    float* of_scale, float* of_shift, int64_t n, int64_t h, int64_t w, int64_t cin, int64_t cout, int64_t step,
                    int64_t by_out, int64_t by_in, int64_t by_row, int64_t by_column, int activation, int threads) {
    Shape s{n, h, w, cin, cout, step};
    Slopes by({after, cout}, of_scale_after, of_shift_after, cout, n * s.out_map());
    by_activation(activation, [&]<int A>() {
        backward<A>(s, g, y, by, x, {before, cin}, extra, {weight, by_out, by_in, by_row, by_column}, dw, gx, of_scale,
                    of_shift, threads);
    });
}

}
#endif
