"""CIFAR-10 with Flax (nnx) on JAX: images in memory, augmentation and step in one compiled function.

python bench/peers/flax_jitted.py --data PATH [--net resnet20] [--precision bf16]
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import BATCH, LEARNING_RATE, MEAN, MOMENTUM, STD, WEIGHT_DECAY, Clock, arguments, cifar10, report
from flax import nnx
from jax import Array, lax


class SimpleNN(nnx.Module):
    """82,006 parameters."""

    def __init__(self, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        convolution = partial(nnx.Conv, padding="VALID", use_bias=False, dtype=dtype, rngs=rngs)
        self.conv1, self.conv2 = convolution(3, 8, (5, 5)), convolution(8, 16, (3, 3))
        dense = partial(nnx.Linear, dtype=dtype, rngs=rngs)
        self.fc1, self.fc2, self.fc3 = dense(576, 120), dense(120, 84), dense(84, 10)

    def __call__(self, x: Array) -> Array:
        """Images [N, 32, 32, 3] to logits [N, 10]."""
        x = nnx.max_pool(nnx.relu(self.conv1(x)), (2, 2), strides=(2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), strides=(2, 2))
        x = nnx.relu(self.fc1(x.reshape(len(x), -1)))
        return self.fc3(nnx.relu(self.fc2(x)))


class ConvNorm(nnx.Module):
    """Convolution 3×3 and batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        he = nnx.initializers.he_normal()
        self.conv = nnx.Conv(inputs, outputs, (3, 3), stride, use_bias=False, kernel_init=he, dtype=dtype, rngs=rngs)
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, epsilon=1e-5, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """The normalised map."""
        return self.norm(self.conv(x))


class Block(nnx.Module):
    """Two convolutions and a shortcut without parameters (option A)."""

    def __init__(self, inputs: int, outputs: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        self.stride, self.padding = outputs // inputs, (outputs - inputs) // 2
        self.first = ConvNorm(inputs, outputs, self.stride, dtype, rngs)
        self.second = ConvNorm(outputs, outputs, 1, dtype, rngs)

    def __call__(self, x: Array) -> Array:
        """Where the block shrinks, every second pixel, zeros for the new channels."""
        out = self.second(nnx.relu(self.first(x)))
        if self.stride > 1:
            x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (self.padding, self.padding)))
        return nnx.relu(out + x)


class ResNet20(nnx.Module):
    """269,722 parameters."""

    def __init__(self, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        channels = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.stem = ConvNorm(3, 16, 1, dtype, rngs)
        self.blocks = nnx.List([Block(a, b, dtype, rngs) for a, b in pairwise(channels)])
        self.dense = nnx.Linear(64, 10, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Images [N, 32, 32, 3] to logits [N, 10]."""
        x = nnx.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.dense(x.mean((1, 2)))


NETS: dict[str, Callable[..., nnx.Module]] = {"simplenn": SimpleNN, "resnet20": ResNet20}


def normalize(images: Array) -> Array:
    """Zero mean, unit deviation."""
    return (images / 255 - jnp.array(MEAN)) / jnp.array(STD)


def crop_and_flip(key: Array, images: Array) -> Array:
    """A random crop (pad 4) and a coin-flip mirror for each of a batch, [N, 32, 32, 3]."""
    corner_key, flip_key = jax.random.split(key)
    corners = jax.random.randint(corner_key, (len(images), 2), 0, 9)
    padded = jnp.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    cropped = jax.vmap(lambda image, at: lax.dynamic_slice(image, (at[0], at[1], 0), (32, 32, 3)))(padded, corners)
    return jnp.where(jax.random.bernoulli(flip_key, shape=(len(images), 1, 1, 1)), cropped[:, :, ::-1], cropped)


@nnx.jit
def train_step(
    model: nnx.Module, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, key: Array, images: Array, labels: Array
) -> None:
    """Augment, descend, add to the epoch's loss and accuracy."""
    pixels = normalize(crop_and_flip(key, images))

    def loss_of(model: nnx.Module) -> tuple[Array, Array]:
        logits = model(pixels).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits

    (loss, logits), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model)
    optimizer.update(model, gradients)
    metrics.update(loss=loss, logits=logits, labels=labels)


@nnx.jit
def correct(model: nnx.Module, images: Array, labels: Array) -> Array:
    """How many of a batch are right."""
    return (model(normalize(images)).argmax(1) == labels).sum()


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("bf16")
    (images, labels), (val_images, val_labels) = cifar10(chosen)
    labels = labels.astype(np.int32)
    dtype = jnp.bfloat16 if chosen.precision == "bf16" else jnp.float32
    model = NETS[chosen.net](dtype, nnx.Rngs(chosen.seed))
    sgd = optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), optax.sgd(LEARNING_RATE[chosen.net], MOMENTUM))
    optimizer = nnx.Optimizer(model, sgd, wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
    order, key = np.random.default_rng(chosen.seed), jax.random.key(chosen.seed)
    clock = Clock(len(images))
    model.train()
    for _ in range(chosen.epochs):
        clock.start()
        metrics.reset()
        shuffled = order.permutation(len(images))
        for at in range(0, len(images), BATCH):
            rows = shuffled[at : at + BATCH]
            key, step_key = jax.random.split(key)
            train_step(model, optimizer, metrics, step_key, images[rows], labels[rows])
        jax.block_until_ready(metrics.compute())
        clock.stop()
    model.eval()
    parts = [slice(at, at + 1000) for at in range(0, len(val_images), 1000)]
    right = sum(int(correct(model, val_images[part], val_labels[part])) for part in parts)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    report("flax", ["flax", "jax", "optax"], chosen, parameters, clock.rates, right / len(val_images))


if __name__ == "__main__":
    main()
