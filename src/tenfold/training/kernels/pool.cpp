// Max pooling of 2×2 pixels without overlap, NHWC, floats or bf16 (`T`); which of the four won is kept in a byte.

#include <algorithm>

#include "vectors.h"

namespace {

using std::int64_t;

template <int L, class T>
void forward(const T* x, T* y, std::uint8_t* winner, int64_t n, int64_t h, int64_t w, int64_t channels, int threads) {
    int64_t down = h / 2, across = w / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t line = 0; line < n * down; line++)
        for (int64_t j = 0; j < across; j++) {
            const T* from = x + ((line / down * h + line % down * 2) * w + j * 2) * channels;
            int64_t to = (line * across + j) * channels;
            for (int64_t c = 0; c < channels; c += L) {
                Vec<L> best = load<L>(from + c);
                Mask<L> which{};
                for (int k = 1; k < 4; k++) {
                    Vec<L> next = load<L>(from + (k / 2 * w + k % 2) * channels + c);
                    Mask<L> wins = next > best || next != next;  // the first of equals; NaN is not lost
                    best = wins ? next : best;
                    which = wins ? Mask<L>{} + k : which;
                }
                store<L>(y + to + c, best);
                narrow<L>(winner + to + c, which);
            }
        }
}

template <int L, class T>
void backward(const T* dy, const std::uint8_t* winner, T* dx, int64_t n, int64_t h, int64_t w, int64_t channels,
              int threads) {
    int64_t down = h / 2, across = w / 2, lines = (h + 1) / 2;  // an odd last row or column was not looked at
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t line = 0; line < n * lines; line++) {
        int64_t i = line % lines, from = (line / lines * down + i) * across * channels;
        T* row = dx + (line / lines * h + i * 2) * w * channels;
        int64_t rows = std::min<int64_t>(2, h - i * 2), seen = i < down ? across * 2 : 0;
        for (int64_t k = 0; k < rows; k++) std::fill(row + (k * w + seen) * channels, row + (k + 1) * w * channels, T{});
        for (int64_t j = 0; j < seen; j += 2, from += channels)
            for (int64_t c = 0; c < channels; c += L) {
                Mask<L> which = widened<L>(winner + from + c);
                Vec<L> g = load<L>(dy + from + c);
                for (int k = 0; k < 4; k++)
                    store<L>(row + (k / 2 * w + j + k % 2) * channels + c, which == k ? g : Vec<L>{});
            }
    }
}

}  // namespace

extern "C" {

// halves: images and gradients are bf16 instead of floats.
void pool_forward(const void* x, void* y, std::uint8_t* winner, int64_t n, int64_t h, int64_t w, int64_t channels,
                  int halves, int threads) {
    by_storage(halves, channels, [&]<int L, class T>() {
        forward<L>(static_cast<const T*>(x), static_cast<T*>(y), winner, n, h, w, channels, threads);
    });
}

void pool_backward(const void* dy, const std::uint8_t* winner, void* dx, int64_t n, int64_t h, int64_t w,
                   int64_t channels, int halves, int threads) {
    by_storage(halves, channels, [&]<int L, class T>() {
        backward<L>(static_cast<const T*>(dy), winner, static_cast<T*>(dx), n, h, w, channels, threads);
    });
}

}
