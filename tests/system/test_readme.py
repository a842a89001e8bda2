"""What the README tells a person to type works, in order, at a few steps."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import ROOT, environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_commands_of_the_readme(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "reelbench").write_text(f'#!/bin/sh\nexec {sys.executable} -m experiments "$@"\n')
    (tools / "reelbench").chmod(0o755)
    env = environment(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    env.pop("REELBENCH_RUNS", None)  # the README's runs/
    lines = [line for block in BLOCKS for line in block.splitlines() if line]
    assert len(lines) >= 8 and all(line.startswith("reelbench ") for line in lines)
    for line in lines:
        if line.startswith("reelbench weights fetch") and "REELBENCH_WEIGHTS" not in os.environ:
            continue  # needs a network; with the variable set the files were fetched before, as in CI
        few = " --trainer.max_steps 2 --wandb.enabled false" if line.startswith("reelbench fit") else ""
        few += " --wandb.enabled false" if line.startswith("reelbench test") else ""
        if line.endswith("protocol/fvd256"):
            few += " --evaluate.protocol.n_real 4 --evaluate.protocol.n_fake 4"
        if line.startswith("reelbench sample"):
            few = " --wandb.enabled false"
        done = subprocess.run(
            ["bash", "-c", line + few], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert (tmp_path / "mocogan.safetensors").stat().st_size > 10_000
    assert len(list(tmp_path.glob("runs/mocogan_cpu-*/samples/seed-0/*.mp4"))) == 16


def test_files_that_the_readme_links_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links and all((ROOT / link).is_file() for link in links), links


def test_misspelt_key_reads_as_the_readme_says() -> None:
    quoted = "Option 'ngff' is not accepted, did you mean 'ngf'?"
    assert quoted in README
    words = [
        sys.executable,
        "-m",
        "experiments",
        "fit",
        "--config",
        "method/mocogan_cpu",
        "--model.init_args.ngff",
        "3",
    ]
    done = subprocess.run(words, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and quoted in done.stderr


def test_make_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert shutil.which("make")
