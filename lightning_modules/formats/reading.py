"""Which reader reads a file. A new format is a module with `NAME`, `matches` and `read`, named here."""

from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from datamodules.errors import BenchError
from lightning_modules.formats import hdf5, npz, tf_checkpoint, torch7, torch_legacy, torch_zip
from lightning_modules.formats.content import WeightFile

# The first that matches reads; an .npz is a zip archive too, so it is asked before.
FORMATS: tuple[ModuleType, ...] = (torch_legacy, npz, torch_zip, torch7, hdf5, tf_checkpoint)
HEAD = 256


def read(path: Path, classes: Collection[str] = ()) -> WeightFile:
    """The content of a file, whose format is told by how it begins. Nothing of it is run.

    Args:
        path: the file.
        classes: of objects that may be in it; see `METHOD/convert.py`.

    Raises:
        BenchError: no such file, no known format, damaged, or it asks for more than it may.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        index = path.with_name(f"{path.name}{tf_checkpoint.SUFFIX}")
        hint = f"; did you mean {index.name}?" if index.is_file() else ""
        raise BenchError(f"{path} cannot be read: {error.strerror or error}{hint}") from error
    for reader in FORMATS:
        if reader.matches(head, path):
            return WeightFile(path, reader.NAME, reader.read(path, classes))
    known = ", ".join(reader.NAME for reader in FORMATS)
    raise BenchError(f"{path} begins with {head[:8].hex(' ') or 'nothing'}, which is none of the formats read: {known}")
