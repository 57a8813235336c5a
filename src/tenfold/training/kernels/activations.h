// Activations and their slopes, L numbers at a time.
#pragma once

#include "vectors.h"

enum Activation { NONE, RELU, LEAKY_RELU, SILU, GELU };

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

template <class Work> void by_activation(int activation, Work work) {
    switch (activation) {
        case RELU: return work.template operator()<RELU>();
        case LEAKY_RELU: return work.template operator()<LEAKY_RELU>();
        case SILU: return work.template operator()<SILU>();
        case GELU: return work.template operator()<GELU>();
        default: return work.template operator()<NONE>();
    }
}
