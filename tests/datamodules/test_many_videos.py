"""Memory grows by a known amount with the number of videos, and with nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest

from datamodules.cache import open_cache
from datamodules.content import Source
from datamodules.files import write_whole
from datamodules.video_reader import VideoReader
from tests.benchmarks.bench_reader import many_videos


def test_bytes_a_video(tmp_path: Path) -> None:
    few, many = many_videos(tmp_path / "few", 200), many_videos(tmp_path / "many", 1200)
    building, starting, held = ((1200 * b - 200 * a) / 1000 for a, b in zip(few, many, strict=True))
    # Measured with short paths: 2,030, 1,400 and 800; each character of the folder's path counts three times or so.
    assert building < 2700 and starting < 1850 and held < 1000


def test_the_manifest_tells_what_became_of_each_file_a_line_a_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.npy" for number in range(4)]
    for number, path in enumerate(paths):
        np.save(path, np.zeros((1 + number, 8, 8, 3), dtype=np.uint8))
    paths[2].write_text("no video")
    cache = open_cache("few", [Source(path, path.name, {}) for path in paths], VideoReader(8, 8))
    text = (cache.folder / "manifest.json").read_text()
    found = json.loads(text)["sources"]
    assert [(file["name"], file.get("length")) for file in found] == [
        ("0.npy", 1),
        ("1.npy", 2),
        ("2.npy", None),
        ("3.npy", 4),
    ]
    assert [file["bytes"] for file in found] == [path.stat().st_size for path in paths]
    assert sum('"blake2b"' in line for line in text.splitlines()) == 4
    assert cache.total == 4 and [name for name, _ in cache.skipped] == ["2.npy"]


@pytest.mark.parametrize("data", ["äb", "äb".encode(), memoryview("äb".encode()), iter(["ä", "", "b"])])
def test_text_may_come_in_pieces(tmp_path: Path, data: str) -> None:
    write_whole(tmp_path / "file", data)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "äb"
