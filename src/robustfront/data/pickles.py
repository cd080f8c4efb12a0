"""Read the pickled batches of CIFAR without the power of pickles: nothing named in the file is ever called.

A pickle may name any importable function and have it called. This unpickler knows four names, those that
numpy's uint8 arrays are stored with, and puts inert stand-ins of ours in their place; any other name is
refused before anything happens.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from robustfront.errors import DataError


class _DType:
    def __init__(self, code: str | bytes, *_flags: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for single bytes."""


class _Array:
    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran_order, data = state
        if not isinstance(dtype, _DType) or dtype.code != "u1" or fortran_order:
            raise pickle.UnpicklingError("an array that is not of unsigned bytes in C order")
        self.value = np.frombuffer(data, np.uint8).reshape(shape)


def _reconstruct(*_arguments: object) -> _Array:
    return _Array()


def _encode(text: str, _latin1: str) -> bytes:
    """How Python 3 writes bytes under pickle protocol 2."""
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no image batch needs") from None


def load(content: bytes, name: str) -> dict[str, Any]:
    """The dictionary in a pickle, keys as text, arrays as read-only uint8; `name` is for messages.

    Python 2 pickles (the official ones: keys are bytes) and Python 3 ones read alike. DataError for anything
    else: code, other types, damage.
    """
    try:
        batch = {}
        for key, value in _Unpickler(io.BytesIO(content), encoding="bytes").load().items():
            batch[key.decode() if isinstance(key, bytes) else key] = (
                value.value if isinstance(value, _Array) else value
            )
        return batch
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{name}: not a CIFAR batch: {error}; fetch the original file again") from error
