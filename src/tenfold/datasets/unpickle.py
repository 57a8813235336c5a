"""A pickle reader that runs nothing: plain containers, text, bytes and numbers, and arrays of plain numbers.

Only for the CIFAR-10 python files (Python 2, protocol 2). The three names that such a file may call stand for
classes of this module that only take note of what they are given; numpy itself is never called by the file.
"""

import io
import pickle
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import DataError

DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "b1")
ORDERS: dict[str, Literal["|", "<", ">"]] = {"|": "|", "<": "<", ">": ">"}
REMEDY = "Only the official CIFAR-10 files are read; use the binary version, which holds no pickles."


class Dtype:
    """Stands for numpy.dtype: numbers and booleans only, never object."""

    def __init__(self, code: object, *_align_and_copy: object) -> None:
        if text(code) not in DTYPES:
            raise DataError(f"it holds an array of dtype {text(code)!r}, which is refused")
        self.dtype = np.dtype(text(code))

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if text(state[1]) not in ORDERS:
            raise DataError(f"it holds an array of byte order {text(state[1])!r}, which is refused")
        self.dtype = self.dtype.newbyteorder(ORDERS[text(state[1])])


class Array:
    """Stands for numpy.ndarray and its _reconstruct: filled by `__setstate__` from dtype, shape and bytes."""

    def __init__(self, *_placeholder: object) -> None:
        # Numpy writes (ndarray, (0,), 'b') here, and all that matters into the state.
        self.values: NDArray[Any] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], object, bool, object]) -> None:
        _version, shape, dtype, fortran, content = state
        if not isinstance(dtype, Dtype) or not isinstance(content, bytes):
            raise DataError("it holds an array of something other than plain numbers")
        values = np.frombuffer(content, dtype.dtype)
        self.values = values.reshape(shape, order="F" if fortran else "C")


def text(name: object) -> str:
    """Python 2 texts arrive as bytes."""
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
}


class Restricted(pickle.Unpickler):
    """Refuses every name outside GLOBALS."""

    def find_class(self, module: str, name: str) -> type:
        """The stand-in for a name; DataError for any other."""
        if (module, name) not in GLOBALS:
            raise DataError(f"it asks for {module}.{name}, which is refused")
        return GLOBALS[module, name]


def load_dict(data: bytes, where: str) -> dict[bytes, object]:
    """The pickled dictionary: keys as bytes, texts as bytes, arrays as numpy arrays; DataError for anything else."""
    try:
        content = Restricted(io.BytesIO(data), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where} is not a safe pickle: {error.what}.", REMEDY) from None
    except Exception as error:  # A damaged pickle can raise almost anything.
        raise DataError(f"{where} is not a readable pickle: {type(error).__name__}: {error}.", REMEDY) from None
    if not isinstance(content, dict):
        raise DataError(f"{where} holds a {type(content).__name__} where a dictionary is expected.", REMEDY)
    return {key: value.values if isinstance(value, Array) else value for key, value in content.items()}
