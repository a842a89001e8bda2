import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import weights as command
from experiments.cli import main
from metrics import weights, weights_fetch
from metrics.weights import CATALOGUE
from tests.helpers.file_server import Site, serving

ROOT = Path(__file__).parents[2]
CONTENT = b"weights" * 10_000


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves the file of `vgg16`, of which a digest is known, and of `c3d_ucf101_mean`, of which none is."""
    with serving(CONTENT) as site:
        digest = hashlib.sha256(CONTENT).hexdigest()
        known = {
            "vgg16": replace(CATALOGUE["vgg16"], url=site.url, sha256_prefix=digest[:8]),
            "c3d_ucf101_mean": replace(CATALOGUE["c3d_ucf101_mean"], url=site.url),
        }
        for module in (weights, weights_fetch, command):
            monkeypatch.setattr(module, "CATALOGUE", known)
        yield site


def test_help_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; from experiments.cli import main; main(['weights', 'list']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "rich", "safetensors"} & set(done.stdout.splitlines()[-1].split())
    with pytest.raises(SystemExit) as stopped:
        main(["weights", "--help"])
    assert stopped.value.code == 0
    assert {"list", "fetch", "verify"} <= set(capsys.readouterr().out.split())


def test_list_shows_every_entry_with_licence_digest_and_origin(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"folder: {here}\n")
    for name, file in CATALOGUE.items():
        assert f"\n{name} " in f"\n{out}" and file.licence in out and file.source in out
    assert "sha256 397923af... (first digits only)" in out
    assert main(["weights", "list", "c3d_ucf101"]) == 0
    alone = capsys.readouterr().out
    assert "missing  (size unknown" in alone and "digest  unknown" in alone and "licence unknown" in alone
    assert "vgg16" not in alone


def test_list_tells_present_from_wrong(here: Path, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "vgg16-397923af.pth").write_bytes(CONTENT)
    assert main(["weights", "list", "vgg16"]) == 0
    assert "vgg16  present" in capsys.readouterr().out
    (here / "vgg16-397923af.pth").write_bytes(b"other")
    assert main(["weights", "list", "vgg16"]) == 0
    assert "vgg16  WRONG" in capsys.readouterr().out


def test_fetch_then_verify(here: Path, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["weights", "fetch", "vgg16", "c3d_ucf101_mean"]) == 0
    out = capsys.readouterr().out
    assert f"vgg16: fetched: {here / 'vgg16-397923af.pth'}\n" in out
    assert f"no digest was published to check it with; its sha256 is {hashlib.sha256(CONTENT).hexdigest()}" in out
    assert main(["weights", "fetch", "vgg16"]) == 0
    assert "vgg16: already there" in capsys.readouterr().out
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.count("ok  ") == 2


def test_verify_hashes_again(here: Path, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "fetch", "vgg16"]) == 0
    file = here / "vgg16-397923af.pth"
    stat = file.stat()
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # nothing but its content tells
    assert main(["weights", "verify"]) == 1
    done = capsys.readouterr()
    assert "wrong    vgg16" in done.out and "move wrong files away" in done.err
    assert main(["weights", "verify", "c3d_ucf101_mean"]) == 1
    assert "missing  c3d_ucf101_mean" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fetch", "vgg"], "no weights are called 'vgg'; did you mean vgg16?"),
        (["list", "nothing"], "no weights are called 'nothing'; there are"),
        (["fetch", "c3d_ucf101_mean"], "the server answers 404"),
    ],
)
def test_mistakes_in_one_line(site: Site, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = command.CATALOGUE
    known["c3d_ucf101_mean"] = replace(known["c3d_ucf101_mean"], url=f"{site.url}/no")  # type: ignore[index]
    assert main(["weights", *argv]) == 2
    err = capsys.readouterr().err
    assert said in err and err.startswith("reelbench: ") and len(err.splitlines()) == 1


@pytest.mark.slow
def test_verify_of_the_real_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = weights.folder() / CATALOGUE["i3d"].file
    if not published.is_file():
        pytest.skip("REELBENCH_WEIGHTS is not set to a folder with the weights i3d")
    assert main(["weights", "verify", "i3d"]) == 0
    assert capsys.readouterr().out.startswith("ok ")
    shutil.copy(published, tmp_path)
    os.environ["REELBENCH_WEIGHTS"] = str(tmp_path)
    with (tmp_path / published.name).open("r+b") as file:
        file.seek(10_000_000)
        file.write(b"\xff")
    assert main(["weights", "verify", "i3d"]) == 1
