import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from experiments import cli

ROOT = Path(__file__).parent.parent
PACKAGES = ("experiments", "lightning_modules", "datamodules", "metrics")
# Named in configs or found by another package, so no import statement shows them.
UNSEEN = {"omegaconf"}  # jsonargparse composes configs with it
TOOLS = {"pytest-xdist", "pytest-timeout", "ruff", "mypy", "types-pyyaml"}


@pytest.fixture(scope="module")
def setup() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def requirements(text: str) -> dict[str, Requirement]:
    found = [Requirement(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {canonicalize_name(r.name): r for r in found}


def pins() -> dict[str, Version]:
    found = requirements((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    out = {}
    for name, requirement in found.items():
        (pin,) = requirement.specifier
        assert pin.operator == "==", requirement
        out[name] = Version(pin.version)
    return out


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(p for p in (ROOT / folder).rglob("*.py"))


def imported(paths: Iterator[Path]) -> set[str]:
    """Top-level names of what the files import."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - set(PACKAGES) - {"tests"}


def distributions(names: set[str]) -> set[str]:
    """The packages to install for `names`."""
    known = metadata.packages_distributions()
    return {canonicalize_name(known[name][0]) for name in names if name in known}


def test_what_is_imported_is_required_and_the_reverse(setup: ConfigParser) -> None:
    required = set(requirements(setup["options"]["install_requires"]))
    used = distributions(imported(sources(*PACKAGES)))
    optional = {
        name for key, text in setup["options.extras_require"].items() if key != "test" for name in requirements(text)
    }
    assert used - required - optional == set()
    assert (required | optional) - used - UNSEEN == set()


def test_what_tests_import_is_required(setup: ConfigParser) -> None:
    required = set(requirements(setup["options"]["install_requires"]))
    extra = set(requirements(setup["options.extras_require"]["test"]))
    assert distributions(imported(sources("tests"))) - required - extra == set()
    assert extra - distributions(imported(sources("tests"))) - TOOLS == set()


def test_every_requirement_has_an_upper_bound_and_a_pin_within(setup: ConfigParser) -> None:
    pinned = pins()
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    for name, requirement in requirements(wanted).items():
        assert {"<", "=="} & {s.operator for s in requirement.specifier}, requirement
        assert requirement.specifier.contains(pinned[name], prereleases=True), requirement


def test_compromised_releases_are_refused(setup: ConfigParser) -> None:
    lightning = requirements(setup["options"]["install_requires"])["lightning"]
    assert not lightning.specifier.contains("2.6.2")
    assert not lightning.specifier.contains("2.6.3")
    assert lightning.specifier.contains("2.6.6")


def test_constraints_cover_all_that_gets_installed(setup: ConfigParser) -> None:
    """The closure of setup.cfg over what the installed packages ask for."""
    queue = list(requirements(setup["options"]["install_requires"] + setup["options.extras_require"]["test"]).values())
    seen = set()
    while queue:
        asked = queue.pop()
        name = canonicalize_name(asked.name)
        if (name, *sorted(asked.extras)) in seen:
            continue
        seen.add((name, *sorted(asked.extras)))
        for further in map(Requirement, metadata.requires(name) or []):
            extras = asked.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                queue.append(further)
    # setuptools comes with every environment; what a CUDA build of torch adds is torch's affair
    missing = {name for name, *_ in seen} - set(pins()) - {"setuptools"}
    assert {name for name in missing if not name.startswith(("nvidia-", "cuda-", "triton"))} == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built offline from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "runs", "build")
    shutil.copytree(ROOT, folder / "source", ignore=ignore)
    build = "import setuptools.build_meta as m; print(m.build_wheel('..'))"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "source", check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_all_of_the_four_packages(wheel: zipfile.ZipFile) -> None:
    packed = {n for n in wheel.namelist() if ".dist-info/" not in n}
    tree = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert packed == tree
    assert "experiments/configs/method/mocogan.yaml" in packed


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (name,) = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
    said = wheel.read(name).decode()
    for line in (f"Version: {cli.VERSION}", "License-Expression: MIT", "Requires-Python: >=3.11"):
        assert f"\n{line}\n" in said
    points = wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert "reelbench = experiments.cli:entry" in points
    assert any(n.endswith("licenses/LICENSE") for n in wheel.namelist())


def test_citation_names_the_version_and_licence() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (said["version"], said["license"], said["cff-version"]) == (cli.VERSION, "MIT", "1.2.0")


def test_no_path_or_host_of_a_machine_is_packaged() -> None:
    named = [
        ROOT / n for n in ("setup.cfg", "pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "CITATION.cff")
    ]
    for path in named:
        assert not re.search(r"file:/|https?://|/(work|tmp|home|root)/", path.read_text(encoding="utf-8")), path


# ---- make ----

STUB = """#!/bin/sh
# A Python that only notes what it is asked, and makes a venv of copies of itself.
echo "$@" >> "$LOG"
case "$*" in
  -V) echo "Python 3.9.2" ;;
  *version_info*) exit ${TOO_OLD:-0} ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"pip install"*) exit ${PIP_FAILS:-0} ;;
esac
"""


class Make:
    """The Makefile in a folder of its own, with a Python that installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "python3").write_text(STUB, encoding="utf-8")
        (folder / "python3").chmod(0o755)

    def __call__(self, *args: str, **environment: str) -> tuple[int, str, list[str]]:
        """Exit code, standard error, and what Python was asked."""
        log = self.folder / "log"
        log.write_text("", encoding="utf-8")
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["make", *args],
            cwd=self.folder,
            env=os.environ | {"PATH": path, "LOG": str(log)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stderr, log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


def test_make_installs_once(make: Make) -> None:
    code, _, asked = make("install")
    assert code == 0
    assert asked[-1] == "-m pip install --disable-pip-version-check -c constraints.txt -e .[test]"
    assert "-m venv .venv" in asked
    assert make("install") == (0, "", [])
    for name in ("setup.cfg", "constraints.txt", "pyproject.toml"):
        stamp = (make.folder / ".venv" / ".installed").stat().st_mtime
        os.utime(make.folder / name, (stamp + 5, stamp + 5))
        assert make("install")[2], name
        os.utime(make.folder / name, (stamp - 5, stamp - 5))
        assert not make("install")[2], name


def test_make_takes_up_an_install_that_failed(make: Make) -> None:
    assert make("install", PIP_FAILS="1")[0] != 0
    code, _, asked = make("install")
    assert code == 0
    assert any("pip install" in line for line in asked)


def test_make_says_what_python_it_needs(make: Make) -> None:
    code, err, asked = make("install", TOO_OLD="1")
    assert code != 0
    assert "reelbench: needs Python 3.11 or newer, python3 is Python 3.9.2; name one: make install PYTHON=" in err
    assert not any("venv" in line for line in asked)
    code, err, _ = make("install", NO_VENV="1")
    assert code != 0
    assert "apt install python3-venv" in err
    code, err, _ = make("install", "PYTHON=no-such-python")
    assert code != 0
    assert "reelbench: no-such-python not found" in err


def test_make_targets_install_first_and_hand_arguments_on(make: Make) -> None:
    def shown(*args: str) -> str:
        return subprocess.run(["make", "-n", *args], cwd=make.folder, capture_output=True, text=True, check=True).stdout

    assert "pip install" in shown("demo")
    assert ".venv/bin/reelbench demo --short" in shown("demo", "DEMO_ARGS=--short")
    assert '-m "not slow"' in shown("test")
    assert "not slow" not in shown("test-all")
    assert all(tool in shown("lint") for tool in ("ruff check", "ruff format --check", "mypy"))


def test_ci_script_is_bash() -> None:
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
