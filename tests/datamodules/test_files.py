import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datamodules import files
from datamodules.errors import BenchError
from datamodules.files import readable_size, write_whole
from tests.datamodules.listing import names_in
from tests.datamodules.processes import ROOT

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_whole(path, "old")
    write_whole(path, b"n\xc3\xa9w")
    assert path.read_text(encoding="utf-8") == "néw"
    assert names_in(tmp_path) == ["status.json"]


def test_other_users_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file_and_says_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_whole(path, "old")

    def refuse(handle: int) -> None:
        raise FULL

    monkeypatch.setattr(files.os, "fsync", refuse)
    monkeypatch.setattr(files, "free_bytes", lambda _: 12_000)
    with pytest.raises(BenchError, match=r"cannot write .*status\.json: No space left on device; 12\.0 kB free"):
        write_whole(path, "new")
    assert path.read_text() == "old" and names_in(tmp_path) == ["status.json"]


def test_a_write_that_the_kernel_cuts_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_text("old")
    script = (
        "import resource, sys\n"
        "from datamodules.errors import BenchError\n"
        "from datamodules.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: write_whole(sys.argv[1], b'x' * 50_000)\n"
        "except BenchError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"cannot write {path}: File too large" in done.stdout
    assert path.read_text() == "old" and names_in(tmp_path) == ["big"]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old" and names_in(tmp_path) == ["a"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="gone/a: No such file or directory"):
        write_whole(tmp_path / "gone" / "a", "x")


def test_a_reader_sees_one_whole_content_or_the_other(tmp_path: Path) -> None:
    path, contents = tmp_path / "a", ("a" * 100_000, "b" * 70_000)
    write_whole(path, contents[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_whole(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {path.read_text() for _ in range(300)}
    finally:
        stop.set()
        writer.join()
    assert seen <= set(contents)


def test_sizes_are_readable() -> None:
    assert [readable_size(n) for n in (0, 999, 1000, 3_145_728_000, 2e15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "3.1 GB",
        "2000.0 TB",
    ]


def test_nothing_heavy_is_imported() -> None:
    script = "import datamodules.files, sys; print([m for m in ('torch', 'numpy', 'lightning') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
