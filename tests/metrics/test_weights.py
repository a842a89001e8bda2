import hashlib
import os
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from datamodules.errors import BenchError
from metrics import weights
from metrics.weights import CATALOGUE, MissingWeights, WeightsFile, digests, folder, identity, locate

CONTENT = b"some weights"
HASHES = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "sha1": hashlib.sha1(CONTENT).hexdigest()}


def made_up(**known: object) -> WeightsFile:
    fields = {"size": None, "sha256": None, "licence": "unknown", "source": "here", "used_by": "tests"}
    return WeightsFile(name="toy", file="toy.bin", **{**fields, **known})  # type: ignore[arg-type]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": made_up(size=len(CONTENT), sha256=HASHES["sha256"])})
    return tmp_path


def catalogue(monkeypatch: pytest.MonkeyPatch, **known: object) -> None:
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": made_up(**known)})


def test_every_entry_says_where_its_figures_come_from() -> None:
    lengths = {"sha256": 64, "sha1": 40, "git_blob": 40}
    for name, file in CATALOGUE.items():
        assert name == file.name and file.source and file.licence and file.used_by
        assert (file.url is None) != (file.package is None), name
        for kind, length in lengths.items():
            assert re.fullmatch(rf"[0-9a-f]{{{length}}}", getattr(file, kind) or "0" * length), name
        if file.sha256_prefix:
            assert file.sha256_prefix in file.file, name
        if file.package:
            assert len(file.package.sha256) == 64 and file.sha256, name
        assert file.companion is None or file.companion in CATALOGUE
    assert len({file.file for file in CATALOGUE.values()}) == len(CATALOGUE)
    wanted = {"i3d", "inception", "c3d_ucf101", "efficientnet_lite0", "lpips_alex", "lpips_vgg", "lpips_squeeze"}
    assert wanted | {"alexnet", "vgg16", "squeezenet1_1", "vgg19", "face_embedding"} <= set(CATALOGUE)


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.delenv("REELBENCH_WEIGHTS")
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "cache"))
    assert folder() == tmp_path / "cache" / "weights"
    monkeypatch.delenv("REELBENCH_CACHE")
    assert folder() == Path.home() / ".cache" / "reelbench" / "weights"


def test_found_in_the_folder_or_at_a_path(here: Path) -> None:
    (here / "toy.bin").write_bytes(CONTENT)
    assert locate("toy") == here / "toy.bin"
    other = here / "elsewhere"
    other.mkdir()
    (other / "other.bin").write_bytes(CONTENT)
    (other / "toy.bin").write_bytes(CONTENT)
    assert locate("toy", other / "other.bin") == other / "other.bin"
    assert locate("toy", other) == other / "toy.bin"
    assert {p.name for p in other.iterdir()} == {"other.bin", "toy.bin"}  # nothing is written into others' folders


def test_missing_says_what_where_and_what_to_do(here: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        locate("toy")
    assert str(here / "toy.bin") in str(caught.value) and "`reelbench weights fetch toy`" in str(caught.value)
    assert caught.value.note == "weights missing: reelbench weights fetch toy" and caught.value.name == "toy"
    with pytest.raises(MissingWeights, match="nowhere"):
        locate("toy", here / "nowhere")


def test_unknown_names_get_the_nearest(here: Path) -> None:
    with pytest.raises(BenchError, match=r"no weights are called 'toi'; did you mean toy\?"):
        locate("toi")
    with pytest.raises(BenchError, match=r"no weights are called 'x'; there are toy"):
        locate("x")


def test_a_wrong_file_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = here / "toy.bin"
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(BenchError, match=r"toy.bin is not the file of the weights toy: it has 11 bytes, 12 were exp"):
        locate("toy")
    file.write_bytes(CONTENT.upper())
    with pytest.raises(BenchError, match=r"its sha256 is [0-9a-f]{64}, [0-9a-f]{64} was expected; move it away"):
        locate("toy")
    for known in ({"sha1": HASHES["sha1"]}, {"git_blob": "0" * 40}, {"sha256_prefix": HASHES["sha256"][:8]}):
        catalogue(monkeypatch, **known)
        with pytest.raises(BenchError, match=next(iter(known)).removesuffix("_prefix")):
            locate("toy")


def test_every_kind_of_digest_is_checked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "toy.bin").write_bytes(CONTENT)
    blob = hashlib.sha1(b"blob 12\0" + CONTENT).hexdigest()
    for known in ({"sha1": HASHES["sha1"]}, {"git_blob": blob}, {"sha256_prefix": HASHES["sha256"][:8]}, {}):
        catalogue(monkeypatch, **known)
        assert locate("toy") == here / "toy.bin"


def test_hashed_once_and_again_when_it_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, original = here / "toy.bin", weights._hashed
    hashed: list[Path] = []

    def counted(path: Path, kinds: Collection[str]) -> dict[str, str]:
        hashed.append(path)
        return original(path, kinds)

    monkeypatch.setattr(weights, "_hashed", counted)
    file.write_bytes(CONTENT)
    for _ in range(3):
        locate("toy")
    assert len(hashed) == 1
    weights._remembered.clear()  # another process
    locate("toy")
    assert len(hashed) == 1
    os.utime(file, ns=(1, 1))
    locate("toy")
    assert len(hashed) == 2
    (here / ".toy.bin.digests.json").write_text("damaged")
    weights._remembered.clear()
    locate("toy")
    assert len(hashed) == 3


def test_looking_again_mends_what_was_remembered(here: Path) -> None:
    file = here / "toy.bin"
    file.write_bytes(CONTENT)
    locate("toy")
    stat = file.stat()
    file.write_bytes(CONTENT.upper())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    locate("toy")  # size and time of change are as before
    assert weights.problem(weights.CATALOGUE["toy"], file, remembered=False)
    with pytest.raises(BenchError, match="its sha256 is"):
        locate("toy")


def test_a_folder_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BenchError("read-only")

    monkeypatch.setattr(weights, "write_json", refuse)
    (here / "toy.bin").write_bytes(CONTENT)
    assert locate("toy") == here / "toy.bin"


def test_identity_needs_no_file_where_a_digest_is_published(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity("toy") == f"sha256 {HASHES['sha256'][:12]}"
    catalogue(monkeypatch, values_digest="ab" * 32, sha256="cd" * 32)
    assert identity("toy") == "values sha256 abababababab"
    catalogue(monkeypatch, sha1="ef" * 20)
    assert identity("toy") == "sha1 efefefefefef"
    catalogue(monkeypatch)
    assert identity("toy") == "digest unknown"
    (here / "toy.bin").write_bytes(CONTENT)
    assert identity("toy") == f"sha256 {HASHES['sha256'][:12]}"


def test_heads_that_torchmetrics_carries_are_found_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    for net in ("alex", "vgg", "squeeze"):
        path = locate(f"lpips_{net}")
        assert path.parts[-2:] == ("lpips_models", f"{net}.pth")
        assert digests(path, ["sha256"])["sha256"] == CATALOGUE[f"lpips_{net}"].sha256
