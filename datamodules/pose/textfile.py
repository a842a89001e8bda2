from pathlib import Path

from datamodules.errors import BenchError


def read_text(path: Path) -> str:
    """A UTF-8 file.

    Raises:
        BenchError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error


def read_table(path: Path, header: str) -> list[tuple[int, str]]:
    """Number and text of the lines below the header that are not empty.

    Raises:
        BenchError: the header is another one.
    """
    lines = read_text(path).splitlines()
    if not lines or lines[0].strip() != header:
        raise BenchError(f"{path}, line 1: {lines[0][:60] if lines else ''!r} found, expected {header!r}")
    return [(number, line) for number, line in enumerate(lines[1:], 2) if line.strip()]
