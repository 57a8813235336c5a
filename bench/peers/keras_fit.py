"""CIFAR-10 with Keras 3: model.fit on a tf.data pipeline, on TensorFlow or JAX.

KERAS_BACKEND=jax python bench/peers/keras_fit.py --data PATH [--net resnet20] [--precision bf16]
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from common import BATCH, LEARNING_RATE, MEAN, MOMENTUM, STD, WEIGHT_DECAY, Clock, Part, arguments, cifar10, report
from keras import layers, ops


def crop_and_flip(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A random crop (pad 4) and a coin-flip mirror for each of a batch, [N, 32, 32, 3], as one gather of pixels."""
    number, side = tf.shape(images)[0], tf.range(32)
    pixels = tf.reshape(tf.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0))), (-1, 3))
    flipped = tf.random.uniform((number, 1)) < 0.5
    rows = tf.random.uniform((number, 1), 0, 9, tf.int32) + side
    columns = tf.random.uniform((number, 1), 0, 9, tf.int32) + tf.where(flipped, 31 - side, side)
    first = tf.range(number)[:, None, None] * 40 * 40
    return tf.gather(pixels, first + rows[:, :, None] * 40 + columns[:, None, :]), labels


def normalize(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Zero mean, unit deviation."""
    scale = 1 / (255 * np.array(STD, np.float32))
    return tf.cast(images, tf.float32) * scale - 255 * np.array(MEAN, np.float32) * scale, labels


def pipeline(part: Part, training: bool) -> tf.data.Dataset:
    """Batches, augmented and shuffled for training."""
    data = tf.data.Dataset.from_tensor_slices(part)
    if training:
        data = data.shuffle(len(part[0])).batch(BATCH).map(crop_and_flip, tf.data.AUTOTUNE)
    else:
        data = data.batch(BATCH)
    return data.map(normalize, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def simplenn() -> keras.Model:
    """82,006 parameters."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 5, use_bias=False, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, use_bias=False, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )


def resnet20() -> keras.Model:
    """Shortcuts without parameters (option A): 269,722 parameters."""

    def convolution(x: Any, channels: int, stride: int = 1) -> Any:
        x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(image, 16))
    for channels, stride in [(16, 1)] * 3 + [(32, 2), (32, 1), (32, 1)] + [(64, 2), (64, 1), (64, 1)]:
        out = layers.ReLU()(convolution(x, channels, stride))
        out = convolution(out, channels)
        if stride > 1:
            x = ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (channels // 4, channels // 4)))
        x = layers.ReLU()(layers.add([out, x]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


NETS = {"simplenn": simplenn, "resnet20": resnet20}


class Timer(keras.callbacks.Callback):
    """Tells the clock when epochs begin and end."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch begins."""
        self.clock.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """An epoch ends; its loss is a number by now, so everything is computed."""
        self.clock.stop()


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("bf16")
    keras.utils.set_random_seed(chosen.seed)
    if chosen.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    training, validation = cifar10(chosen)
    model = NETS[chosen.net]()
    model.compile(
        optimizer=keras.optimizers.SGD(LEARNING_RATE[chosen.net], MOMENTUM, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",  # TensorFlow's XLA is several times slower on CPUs
    )
    clock = Clock(len(training[0]))
    model.fit(
        pipeline(training, training=True), epochs=chosen.epochs, shuffle=False, callbacks=[Timer(clock)], verbose=0
    )
    _, right = model.evaluate(pipeline(validation, training=False), verbose=0)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    engine = {"tensorflow": ["tensorflow-cpu"], "jax": ["jax", "tensorflow-cpu"]}[keras.backend.backend()]
    report(f"keras-{keras.backend.backend()}", ["keras", *engine], chosen, parameters, clock.rates, right)


if __name__ == "__main__":
    main()
