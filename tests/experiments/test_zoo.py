"""What the zoo holds is whole, small, of its recipe, and scores what it says."""

from pathlib import Path

import pytest
import yaml

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.media import read_video
from experiments.cli import main
from experiments.export import load_export, read_metadata
from experiments.record import HEADER, identity
from experiments.run import run_folder
from experiments.zoo.build import OFF, PROTOCOL, SMALL, entries, gather, recipes, scored

ENTRIES = [pytest.param(folder, id=folder.name) for folder in entries()]


def test_every_recipe_has_an_entry() -> None:
    assert [folder.name for folder in entries()] == recipes() != []


def test_zoo_is_small() -> None:
    sizes = {f.name: sum(p.stat().st_size for p in f.rglob("*") if p.is_file()) for f in entries()}
    assert max(sizes.values()) <= 2e6 and sum(sizes.values()) <= 15e6, sizes


@pytest.mark.parametrize("folder", ENTRIES)
def test_entry_is_of_its_recipe_and_tells_no_paths(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    config = yaml.safe_load(text)
    metadata = read_metadata(folder / "weights.safetensors")
    recipe = run_folder(["--config", f"zoo/{folder.name}", *OFF])
    assert text.startswith(f"{HEADER}{identity(config)[:12]}\n")
    assert recipe.name == f"{folder.name}-{identity(config)[:12]}" and metadata["identity"] == identity(config)
    assert read_json(folder / "entry.json")["command"] == f"reelbench zoo {folder.name}"
    assert metadata["dtype"] == "float16" and metadata["step"] == config["trainer"]["max_steps"]
    for path in [p for p in folder.rglob("*") if p.suffix in (".yaml", ".json", ".csv")]:
        assert "/tmp" not in path.read_text() and "/root" not in path.read_text(), path


@pytest.mark.parametrize("folder", ENTRIES)
def test_stored_scores_show_clean_shapes(folder: Path) -> None:
    stored = [e for e in read_json(folder / "results.json")["results"].values() if e["protocol"]["n_fake"] == 256]
    # Real clips have 0.98 (a nearly black shape is lost), the demo's own run below 0.01. With categories 0.87 was
    # reached, without them 0.70 in as many steps: docs/results/foundation.md.
    floor = 0.8 if folder.name == "mocogan_categories" else 0.65
    assert len(stored) == 1 and stored[0]["values"]["clean_shapes"]["value"] >= floor


@pytest.mark.parametrize("folder", ENTRIES)
def test_entry_holds_clips_and_loads(folder: Path) -> None:
    clips = sorted(folder.glob("samples/step-*/*.mp4"))
    assert len(clips) >= 4 and (clips[0].parent / "contact.png").stat().st_size > 0
    assert read_video(clips[0]).shape[0] == 16
    method, _ = load_export(folder / "weights.safetensors")
    assert all(p.isfinite().all() for p in method.generator.parameters())


@pytest.mark.parametrize("folder", ENTRIES)
def test_scoring_again_gives_the_stored_scores(folder: Path, tmp_path: Path) -> None:
    argv = ["test", *scored(folder / "weights.safetensors", folder.name), *PROTOCOL, *SMALL, "--runs", str(tmp_path)]
    assert main(argv) == 0
    (again,) = tmp_path.glob("*/results.json")
    assert (read_json(again)["name"], read_json(again)["scale"]) == (f"zoo_{folder.name}", "cpu")
    ((key, now),) = read_json(again)["results"].items()
    then = read_json(folder / "results.json")["results"][key]
    assert now["values"].keys() == then["values"].keys()
    for name, value in now["values"].items():
        # Another processor sums in another order: a pixel at a rounding edge may differ.
        assert value["value"] == pytest.approx(then["values"][name]["value"], rel=2e-3, abs=2e-3), name
        assert value["fingerprint"] == then["values"][name]["fingerprint"]


def test_unknown_entry_is_named() -> None:
    with pytest.raises(BenchError, match="no zoo entry 'mocogn'; there are mocogan"):
        from experiments.zoo import build

        build.main(["mocogn"])


def test_gathering_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="samples is missing"):
        gather(tmp_path, tmp_path / "out", "mocogan")
    assert not (tmp_path / "out").exists()
