// Batch norm, an addition and an activation in one: y = act((x − mean) / std · weight + bias + other), NHWC float32.
//
// Forward reads x twice and writes y once; backward reads what it needs twice and writes each gradient once. Sums run
// over pieces whose size follows from the shape alone, then over the pieces in order: threads do not change a bit.

#include <algorithm>
#include <cmath>
#include <vector>

#include "vectors.h"

namespace {

using std::int64_t;

enum Activation { NONE, RELU, LEAKY_RELU, SILU, GELU };

constexpr int64_t PIECES = 256, SHORTEST = 64;  // pieces of a sum, and rows of the shortest
constexpr int ABREAST = 2;                      // registers of channels that are summed at a time: whole cache lines

inline int64_t piece(int64_t rows) { return std::max((rows + PIECES - 1) / PIECES, SHORTEST); }

// eˣ for x ≤ 0, to a relative 1e-7; below −87 it is 0 but for denormals.
template <int L> inline Vec<L> exponential(Vec<L> x) {
    x = x < -87.0f ? Vec<L>{} - 87.0f : x;
    Vec<L> turns = x * 1.44269504f - 0.5f;
    Mask<L> n = __builtin_convertvector(turns, Mask<L>);  // towards zero: rounds x / ln 2 to the nearest
    Vec<L> whole = __builtin_convertvector(n, Vec<L>);
    Vec<L> r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Vec<L> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * reinterpret_cast<Vec<L>>((n + 127) << 23);
}

// The standard normal's distribution function and density (Abramowitz & Stegun 7.1.26: within 1e-7).
template <int L> inline void normal(Vec<L> z, Vec<L>& below, Vec<L>& density) {
    Vec<L> size = z < 0.0f ? -z : z;
    Vec<L> e = exponential<L>(z * z * -0.5f);
    Vec<L> t = 1.0f / (1.0f + size * (0.3275911f * 0.70710678f));
    Vec<L> p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
    Vec<L> above = 0.5f * p * e;
    below = z < 0.0f ? above : 1.0f - above;
    density = e * 0.39894228f;
}

template <int L> inline Vec<L> sigmoid(Vec<L> z) {
    Vec<L> e = exponential<L>(z < 0.0f ? z : -z), half = 1.0f / (1.0f + e);
    return z < 0.0f ? e * half : half;
}

template <int A, int L> inline Vec<L> activate(Vec<L> z) {
    if constexpr (A == RELU) return z <= 0.0f ? Vec<L>{} : z;  // a NaN stays one, and is seen in the loss
    if constexpr (A == LEAKY_RELU) return z > 0.0f ? z : z * 0.01f;
    if constexpr (A == SILU) return z * sigmoid<L>(z);
    if constexpr (A == GELU) {
        Vec<L> below, density;
        normal<L>(z, below, density);
        return z * below;
    }
    return z;
}

template <int A, int L> inline Vec<L> slope(Vec<L> z) {
    Vec<L> one = Vec<L>{} + 1.0f;
    if constexpr (A == RELU) return z <= 0.0f ? Vec<L>{} : one;
    if constexpr (A == LEAKY_RELU) return z > 0.0f ? one : one * 0.01f;
    if constexpr (A == SILU) {
        Vec<L> s = sigmoid<L>(z);
        return s * (1.0f + z * (1.0f - s));
    }
    if constexpr (A == GELU) {
        Vec<L> below, density;
        normal<L>(z, below, density);
        return below + z * density;
    }
    return one;
}

// Two sums over rows for each channel: `term` gives both from a row's place and channel. out: [2][channels].
template <int L, int S, class Term>
void two_sums_of(int64_t rows, int64_t channels, double* out, int threads, Term term) {
    int64_t length = piece(rows), pieces = (rows + length - 1) / length;
    std::vector<float> partial(pieces * 2 * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t c = 0; c < channels; c += S * L) {
            Vec<L> a[S] = {}, b[S] = {};
            for (int64_t r = k * length; r < std::min(rows, (k + 1) * length); r++)
                for (int i = 0; i < S; i++) {
                    Vec<L> first, second;
                    term(r * channels + c + i * L, c + i * L, first, second);
                    a[i] += first;
                    b[i] += second;
                }
            for (int i = 0; i < S; i++) {
                store<L>(&partial[k * 2 * channels + c + i * L], a[i]);
                store<L>(&partial[(k * 2 + 1) * channels + c + i * L], b[i]);
            }
        }
    std::fill(out, out + 2 * channels, 0.0);
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t c = 0; c < 2 * channels; c++) out[c] += partial[k * 2 * channels + c];
}

template <int L, class Term>
void two_sums(int64_t rows, int64_t channels, double* out, int threads, Term term) {
    if (channels % (ABREAST * L) == 0) two_sums_of<L, ABREAST>(rows, channels, out, threads, term);
    else two_sums_of<L, 1>(rows, channels, out, threads, term);
}

template <int L> void statistics(const float* x, float* mean, float* variance, int64_t rows, int64_t channels, int threads) {
    std::vector<double> sums(2 * channels);  // of x − first row and of its square: no loss where the mean is large
    two_sums<L>(rows, channels, sums.data(), threads, [=](int64_t at, int64_t c, Vec<L>& a, Vec<L>& b) {
        a = load<L>(x + at) - load<L>(x + c);
        b = a * a;
    });
    for (int64_t c = 0; c < channels; c++) {
        double shift = sums[c] / rows;
        mean[c] = static_cast<float>(x[c] + shift);
        variance[c] = static_cast<float>(std::max(0.0, sums[channels + c] / rows - shift * shift));
    }
}

template <int A, int L>
void apply(const float* x, const float* other, const float* scale, const float* shift, float* y, int64_t rows,
           int64_t channels, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c += L) {
            Vec<L> z = load<L>(x + r * channels + c) * load<L>(scale + c) + load<L>(shift + c);
            if (other) z += load<L>(other + r * channels + c);
            store<L>(y + r * channels + c, activate<A, L>(z));
        }
}

// `z` is what the activation saw; y (if there is one) will do for an activation that is linear on both sides of zero.
template <int A, int L, bool Y>
void backward(const float* dy, const float* x, const float* other, const float* y, const float* scale,
              const float* shift, const float* mean, const float* inverse, float* dx, float* dother, float* dweight,
              float* dbias, bool batch, int64_t rows, int64_t channels, int threads) {
    auto gradient = [=](int64_t at, int64_t c) {
        if constexpr (A == NONE) return load<L>(dy + at);
        Vec<L> z;
        if constexpr (Y) z = load<L>(y + at);
        else {
            z = load<L>(x + at) * load<L>(scale + c) + load<L>(shift + c);
            if (other) z += load<L>(other + at);
        }
        return load<L>(dy + at) * slope<A, L>(z);
    };
    std::vector<double> sums(2 * channels);
    two_sums<L>(rows, channels, sums.data(), threads, [=](int64_t at, int64_t c, Vec<L>& a, Vec<L>& b) {
        a = gradient(at, c);
        b = a * (load<L>(x + at) - load<L>(mean + c));
        if (dother) store<L>(dother + at, a);
    });
    std::vector<float> offset(channels), tilt(channels);  // dx = scale·(g − offset − (x − mean)·tilt)
    for (int64_t c = 0; c < channels; c++) {
        dbias[c] = static_cast<float>(sums[c]);
        dweight[c] = static_cast<float>(sums[channels + c] * inverse[c]);
        offset[c] = batch ? static_cast<float>(sums[c] / rows) : 0.0f;
        tilt[c] = batch ? static_cast<float>(sums[channels + c] * inverse[c] * inverse[c] / rows) : 0.0f;
    }
    if (!dx) return;
    const float *o = offset.data(), *t = tilt.data();
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c += L) {
            int64_t at = r * channels + c;
            Vec<L> g = dother ? load<L>(dother + at) : gradient(at, c);
            Vec<L> centred = load<L>(x + at) - load<L>(mean + c);
            store<L>(dx + at, load<L>(scale + c) * (g - load<L>(o + c) - centred * load<L>(t + c)));
        }
}

template <int L, class Work> void by_activation(int activation, Work work) {
    switch (activation) {
        case RELU: return work.template operator()<RELU, L>();
        case LEAKY_RELU: return work.template operator()<LEAKY_RELU, L>();
        case SILU: return work.template operator()<SILU, L>();
        case GELU: return work.template operator()<GELU, L>();
        default: return work.template operator()<NONE, L>();
    }
}

template <class Work> void choose(int activation, int64_t channels, Work work) {
    if (lanes(channels) == WIDEST) by_activation<WIDEST>(activation, work);
    else by_activation<8>(activation, work);
}

}  // namespace

extern "C" {

void norm_statistics(const float* x, float* mean, float* variance, int64_t rows, int64_t channels, int threads) {
    if (lanes(channels) == WIDEST) statistics<WIDEST>(x, mean, variance, rows, channels, threads);
    else statistics<8>(x, mean, variance, rows, channels, threads);
}

void norm_apply(const float* x, const float* other, const float* scale, const float* shift, float* y, int activation,
                int64_t rows, int64_t channels, int threads) {
    choose(activation, channels,
           [&]<int A, int L>() { apply<A, L>(x, other, scale, shift, y, rows, channels, threads); });
}

// batch: the statistics are of this batch, and gradients flow through them. dx, dother, other and y may be null. What was
// added is needed as `other`; for activations that do not bend, y does instead.
void norm_backward(const float* dy, const float* x, const float* other, const float* y, const float* scale,
                   const float* shift, const float* mean, const float* inverse, float* dx, float* dother,
                   float* dweight, float* dbias, int batch, int activation, int64_t rows, int64_t channels,
                   int threads) {
    choose(activation, channels, [&]<int A, int L>() {
        auto* work = y ? backward<A, L, true> : backward<A, L, false>;
        work(dy, x, other, y, scale, shift, mean, inverse, dx, dother, dweight, dbias, batch, rows, channels, threads);
    });
}

}
