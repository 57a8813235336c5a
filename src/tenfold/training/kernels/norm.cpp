// Batch norm, an addition and an activation in one: y = act((x − mean) / std · weight + bias + other), NHWC.
//
// Images and their gradients are floats or bf16 in memory (`T`), all arithmetic and every sum is in floats.
// Forward reads x twice and writes y once; backward reads what it needs twice and writes each gradient once. Sums run
// over pieces whose size follows from the shape alone, then over the pieces in order: threads do not change a bit.

#include <algorithm>
#include <cmath>
#include <vector>

#include "activations.h"

namespace {

using std::int64_t;

constexpr int64_t PIECES = 256, SHORTEST = 64;  // pieces of a sum, and rows of the shortest

inline int64_t piece(int64_t rows) { return std::max((rows + PIECES - 1) / PIECES, SHORTEST); }

// Two sums over rows for each channel; `term(c)` gives the function that gives both from a number's place. out: [2][channels].
// S registers of channels and R rows go abreast, so that no addition waits for the one before.
template <int L, int S, int R, class Term>
void two_sums_of(int64_t rows, int64_t channels, double* out, int threads, Term term) {
    int64_t length = piece(rows), pieces = (rows + length - 1) / length;
    std::vector<float> partial(pieces * 2 * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t c = 0; c < channels; c += S * L) {
            Vec<L> a[R][S] = {}, b[R][S] = {};
            auto add = [&, first = term(c), last = term(c + (S - 1) * L)](int64_t r, int row) {
                for (int i = 0; i < S; i++) {
                    Vec<L> one, two;
                    (i ? last : first)(r * channels + c + i * L, one, two);
                    a[row][i] += one;
                    b[row][i] += two;
                }
            };
            int64_t r = k * length, end = std::min(rows, (k + 1) * length);
            for (; r + R <= end; r += R)
                for (int row = 0; row < R; row++) add(r + row, row);
            for (; r < end; r++) add(r, 0);
            for (int row = 1; row < R; row++)
                for (int i = 0; i < S; i++) a[0][i] += a[row][i], b[0][i] += b[row][i];
            for (int i = 0; i < S; i++) {
                store<L>(&partial[k * 2 * channels + c + i * L], a[0][i]);
                store<L>(&partial[(k * 2 + 1) * channels + c + i * L], b[0][i]);
            }
        }
    std::fill(out, out + 2 * channels, 0.0);
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t c = 0; c < 2 * channels; c++) out[c] += partial[k * 2 * channels + c];
}

template <int L, class Term>
void two_sums(int64_t rows, int64_t channels, double* out, int threads, Term term) {
    if (channels % (2 * L) == 0) two_sums_of<L, 2, 2>(rows, channels, out, threads, term);
    else two_sums_of<L, 1, 4>(rows, channels, out, threads, term);
}

// `work(c)` gives the function that is called with the place of each L numbers of these channels.
template <int L, class Work> void each(int64_t rows, int64_t channels, int threads, Work work) {
    int64_t length = piece(rows), pieces = (rows + length - 1) / length;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t c = 0; c < channels; c += L) {
            auto one = work(c);
            int64_t end = std::min(rows, (k + 1) * length);
            for (int64_t r = k * length; r < end; r++) one(r * channels + c);
        }
}

template <int L, class T> void statistics(const T* x, float* mean, float* variance, int64_t rows, int64_t channels, int threads) {
    std::vector<double> sums(2 * channels);  // of x − first row and of its square: no loss where the mean is large
    two_sums<L>(rows, channels, sums.data(), threads, [=](int64_t c) {
        return [=, first = load<L>(x + c)](int64_t at, Vec<L>& a, Vec<L>& b) {
            a = load<L>(x + at) - first;
            b = a * a;
        };
    });
    for (int64_t c = 0; c < channels; c++) {
        double shift = sums[c] / rows;
        mean[c] = static_cast<float>(number(x[c]) + shift);
        variance[c] = static_cast<float>(std::max(0.0, sums[channels + c] / rows - shift * shift));
    }
}

template <int A, int L, class T>
void apply(const T* x, const T* other, const float* scale, const float* shift, T* y, int64_t rows, int64_t channels,
           int threads) {
    each<L>(rows, channels, threads, [=](int64_t c) {
        return [=, times = load<L>(scale + c), plus = load<L>(shift + c)](int64_t at) {
            Vec<L> z = load<L>(x + at) * times + plus;
            if (other) z += load<L>(other + at);
            store<L>(y + at, activate<A, L>(z));
        };
    });
}

// `z` is what the activation saw; y (if there is one) will do for an activation that is linear on both sides of zero.
template <int A, int L, bool Y, class T>
void backward(const T* dy, const T* x, const T* other, const T* y, const float* scale, const float* shift,
              const float* mean, const float* inverse, T* dx, T* dother, float* dweight, float* dbias, bool batch,
              int64_t rows, int64_t channels, int threads) {
    auto gradient = [=](int64_t at, Vec<L> times, Vec<L> plus) {
        if constexpr (A == NONE) return load<L>(dy + at);
        Vec<L> z;
        if constexpr (Y) z = load<L>(y + at);
        else {
            z = load<L>(x + at) * times + plus;
            if (other) z += load<L>(other + at);
        }
        return load<L>(dy + at) * slope<A, L>(z);
    };
    std::vector<double> sums(2 * channels);
    two_sums<L>(rows, channels, sums.data(), threads, [=](int64_t c) {
        return [=, times = load<L>(scale + c), plus = load<L>(shift + c), middle = load<L>(mean + c)](
                   int64_t at, Vec<L>& a, Vec<L>& b) {
            a = gradient(at, times, plus);
            b = a * (load<L>(x + at) - middle);
            if (dother) store<L>(dother + at, a);
        };
    });
    std::vector<float> offset(channels), tilt(channels);  // dx = scale·(g − offset − (x − mean)·tilt)
    for (int64_t c = 0; c < channels; c++) {
        dbias[c] = static_cast<float>(sums[c]);
        dweight[c] = static_cast<float>(sums[channels + c] * inverse[c]);
        offset[c] = batch ? static_cast<float>(sums[c] / rows) : 0.0f;
        tilt[c] = batch ? static_cast<float>(sums[channels + c] * inverse[c] * inverse[c] / rows) : 0.0f;
    }
    if (!dx) return;
    each<L>(rows, channels, threads, [=, o = offset.data(), t = tilt.data()](int64_t c) {
        return [=, times = load<L>(scale + c), plus = load<L>(shift + c), middle = load<L>(mean + c),
                less = load<L>(o + c), tilted = load<L>(t + c)](int64_t at) {
            Vec<L> g = dother ? load<L>(dother + at) : gradient(at, times, plus);
            store<L>(dx + at, times * (g - less - (load<L>(x + at) - middle) * tilted));
        };
    });
}

template <class T> const T* in(const void* p) { return static_cast<const T*>(p); }
template <class T> T* out(void* p) { return static_cast<T*>(p); }

}  // namespace

extern "C" {

// halves: x, other, y and their gradients are bf16 instead of floats.
void norm_statistics(const void* x, float* mean, float* variance, int64_t rows, int64_t channels, int halves,
                     int threads) {
    by_storage(halves, channels,
               [&]<int L, class T>() { statistics<L>(in<T>(x), mean, variance, rows, channels, threads); });
}

void norm_apply(const void* x, const void* other, const float* scale, const float* shift, void* y, int activation,
                int64_t rows, int64_t channels, int halves, int threads) {
    by_storage(halves, channels, [&]<int L, class T>() {
        by_activation(activation, [&]<int A>() {
            apply<A, L>(in<T>(x), in<T>(other), scale, shift, out<T>(y), rows, channels, threads);
        });
    });
}

// batch: the statistics are of this batch, and gradients flow through them. dx, dother, other and y may be null. What was
// added is needed as `other`; for activations that do not bend, y does instead.
void norm_backward(const void* dy, const void* x, const void* other, const void* y, const float* scale,
                   const float* shift, const float* mean, const float* inverse, void* dx, void* dother, float* dweight,
                   float* dbias, int batch, int activation, int64_t rows, int64_t channels, int halves, int threads) {
    by_storage(halves, channels, [&]<int L, class T>() {
        by_activation(activation, [&]<int A>() {
            auto* work = y ? backward<A, L, true, T> : backward<A, L, false, T>;
            work(in<T>(dy), in<T>(x), in<T>(other), in<T>(y), scale, shift, mean, inverse, out<T>(dx), out<T>(dother),
                 dweight, dbias, batch, rows, channels, threads);
        });
    });
}

}
