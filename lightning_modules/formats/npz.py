"""numpy's .npz, in which Chainer's `save_npz` writes a link: arrays by name, never pickles."""

import io
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy

from datamodules.errors import BenchError
from datamodules.restricted_pickle import told
from lightning_modules.formats.archive import archive

NAME = "npz"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def matches(head: bytes, path: Path) -> bool:
    """Whether a file is a zip archive whose first member is an array."""
    length = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + length].endswith(b".npy")


def read(path: Path, classes: Collection[str]) -> dict[str, torch.Tensor]:
    """The arrays by name.

    Raises:
        BenchError: damaged, cut, a bomb, or an array of anything but numbers.
    """
    with told(path, "npz file", "arrays of numbers"), archive(path) as opened:
        found = {}
        for member in opened.infolist():
            if not member.filename.endswith(".npy"):
                raise BenchError(f"{path} is refused: its member {member.filename!r} is no array")
            name = member.filename.removesuffix(".npy")
            found[name] = torch.from_numpy(_array(opened.read(member), f"{path}: {name}"))
        return found


def _array(data: bytes, where: str) -> np.ndarray[Any, Any]:
    stream = io.BytesIO(data)
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise BenchError(f"{where} has .npy version {version}, expected 1.0 or 2.0")
    shape, fortran, dtype = HEADERS[version](stream)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise BenchError(f"{where} is refused: it is an array of {dtype}, expected numbers; objects would be a pickle")
    body = memoryview(data)[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise BenchError(f"{where} has {len(body)} bytes, expected {dtype} of shape {shape}: damaged")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")  # a copy: the bytes read cannot be written to
