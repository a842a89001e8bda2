"""Tables as files: what is refused, and that the packaged ones are whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.errors import BenchError
from experiments.arguments import config_path
from experiments.cli import main
from experiments.sweep.cell import config_name, is_there
from experiments.sweep.file import read_sweep
from experiments.sweep.plan import plan
from experiments.table.file import names, read_table
from experiments.table.markdown import as_markdown
from experiments.table.reproduced import missing_runs, reproduce
from experiments.table.schema import Published, Table
from metrics.best_of import OVERS

SMALLEST: dict[str, Any] = {
    "title": "T",
    "citation": "C",
    "sources": {"paper": "the paper's table"},
    "columns": {"IS": {"better": "higher", "note": "not measured"}},
    "rows": {"GAN": {"published": {"IS": 8.18}, "read_in": "paper"}},
}


def read(folder: Path, **content: Any) -> Table:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **content}, sort_keys=False))
    return read_table(str(path))


def row(**said: Any) -> dict[str, Any]:
    return {"rows": {"GAN": said}}


def column(**said: Any) -> dict[str, Any]:
    return {"columns": {"IS": said}}


def test_the_smallest_table(tmp_path: Path) -> None:
    table = read(tmp_path)
    assert table.rows[0].published == {"IS": Published(8.18, None, ("paper",))}
    assert table.scales == [] and table.seeds == {"paper": (0,), "cpu": (0,)}
    assert table.argument == str(tmp_path / "mine.yaml") and read_table("mocogan_1").argument == "mocogan_1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rowz": {}}, "a table: no key 'rowz', did you mean 'rows'?"),
        ({"title": None}, "title: expected a text, found None"),
        ({"citation": " "}, "citation: expected a text"),
        ({"rows": {}}, "columns and rows: a table has at least one of each"),
        (row(published={"IS": 8.18}), "rows.GAN.published.IS: 8.18 has no read_in"),
        (row(published={"IS": {"value": 8.18, "read_in": []}}, read_in="paper"), "8.18 has no read_in"),
        (row(published={"IS": None}), "neither a value nor a note"),
        (row(published={"IS": "8.18"}, read_in="paper"), "expected a number or null, found '8.18'"),
        (row(published={"IS": {"value": True, "read_in": "paper"}}), "expected a number or null, found True"),
        (row(published={"IS": 8.18}, read_in="papr"), "rows.GAN.read_in: no source 'papr', did you mean 'paper'?"),
        (row(published={"FVD": 8.18}, read_in="paper"), "rows.GAN.published: no key 'FVD'"),
        (row(publishd={}), "rows.GAN: no key 'publishd', did you mean 'published'?"),
        (row(reference="yes"), "rows.GAN.reference: expected true or false"),
        (row(runs={"gpu": {}}), "rows.GAN.runs: no key 'gpu'"),
        (row(runs={"cpu": {"methd": "a"}}), "rows.GAN.runs.cpu: no key 'methd', did you mean 'method'?"),
        (row(runs={"cpu": {"seed": 1}}), "rows.GAN.runs.cpu.seed: the table sets it itself"),
        (row(seeds=[0, 0]), "rows.GAN.seeds: expected different whole numbers"),
        ({"seeds": {"cpu": 3}}, "seeds.cpu: expected different whole numbers, found 3"),
        ({"sources": {"paper": "recalled"}}, "sources.paper: 'recalled' is no place where a number was read"),
        ({"sources": {"paper": "From memory."}}, "is no place where a number was read"),
        (column(better="up", note="n"), "columns.IS.better: expected one of lower, higher, none, found 'up'"),
        (column(better="higher"), "columns.IS: neither a metric nor a note"),
        (column(better="higher", metric="is"), "columns.IS: a metric needs a protocol"),
    ],
)
def test_refused(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as refused:
        read(tmp_path, **content)
    assert said in str(refused.value) and "mine.yaml" in str(refused.value)


PACKAGED = [read_table(name) for name in names()]


def configs(table: Table) -> Iterator[tuple[str, str]]:
    """Kind and name of every config that a table names."""
    for column in table.columns:
        if column.protocol:
            yield "protocol", column.protocol
    cells = [cell for base in (table.base, *(column.base for column in table.columns)) for cell in base.values()]
    for cell in [*cells, *(cell for row in table.rows for cell in row.runs.values())]:
        yield from ((kind, cell[kind]) for kind in ("method", "data", "trainer") if kind in cell)


@pytest.mark.parametrize("table", PACKAGED, ids=lambda table: table.name)
def test_configs_that_packaged_tables_name_are_there(table: Table) -> None:
    absent = {config_name(kind, name) for kind, name in configs(table) if not is_there(kind, name)}
    assert not absent
    assert table.citation and all(row.published for row in table.rows)


@pytest.mark.parametrize("table", [t for t in PACKAGED if t.scales], ids=lambda table: table.name)
def test_runs_of_packaged_tables_resolve(table: Table, tmp_path: Path) -> None:
    cells = reproduce(table, table.scales, tmp_path)
    assert missing_runs(cells)
    for (name, column, scale), cell in cells.items():
        assert cell.missing or cell.note, f"{name}, {column}, {scale}: neither a run nor why there is none"
    metrics = {column.name: column.metric for column in table.columns}
    for (_, column, _), cell in cells.items():
        for run, _ in cell.missing:
            (test,) = run.tests
            assert metrics[column] in measured(test.protocol)
    for column, scale in {(column, scale) for _, column, scale in cells}:
        # Rows that are scored on other clips are refused, once they have been trained for days.
        runs = [run for (_, c, s), cell in cells.items() if (c, s) == (column, scale) for run, _ in cell.missing]
        assert len({shown_clips(run.config["data"]) for run in runs}) <= 1, (column, scale)


def shown_clips(data: dict[str, Any]) -> str:
    """What decides the clips of an evaluation: where the data come from and how they are cut."""
    keys = ("dataset", "rule", "num_digits", "digits", "size", "frames", "stride", "context", "identities", "fit")
    return json.dumps([data["class_path"], {key: data["init_args"].get(key) for key in keys}])


def measured(protocol: str) -> list[str]:
    """Its columns; where it draws several samples, those of each metric as well."""
    evaluate = yaml.safe_load(config_path(protocol).read_text())["evaluate"]
    several = OVERS if evaluate["protocol"].get("samples", 1) > 1 else ()
    return [*evaluate["metrics"], *(f"{metric}_{over}" for metric in evaluate["metrics"] for over in several)]


def test_the_sweep_makes_the_runs_that_the_table_looks_for(tmp_path: Path) -> None:
    sweep = read_sweep("mocogan_1_cpu")
    made = {run.folder for run in plan(sweep.cells(), sweep.varied, sweep.protocols, tmp_path, sweep.name)}
    table = read_table("mocogan_1")
    cells = reproduce(table, ["cpu"], tmp_path)
    wanted = {run.folder for (row, _, _), cell in cells.items() if row != "training set" for run, _ in cell.missing}
    assert made == wanted and len(made) >= 6


# What the papers' tables hold, as it was read; a slip of the finger in a config would be a false quotation.
QUOTED = {
    ("mocogan_1", "VGAN", "shapes"): 5.02,
    ("mocogan_1", "TGAN", "shapes"): 2.08,
    ("mocogan_1", "MoCoGAN", "shapes"): 1.79,
    ("mocogan_1", "MoCoGAN", "faces"): 0.201,
    ("mocogan_2", "MoCoGAN", "inception score"): 12.42,
    ("mocogan_4", "D_I, category into R_M", "MCS"): 0.581,
    ("mocogan_4", "D_I, category into R_M", "ACD"): 0.606,
    ("tgan_3", "TGAN against the 3D model (GAN)", "GAM"): 1.70,
    ("tgan_4", "TGAN (SVC)", "inception score"): 11.85,
    ("vgan_ucf", "VGAN, fine-tuned", "accuracy"): 52.1,
    ("vgan_preference", "two-stream over real", "mean"): 18,
    ("srvp_digits", "SVG", "PSNR"): 14.50,
    ("srvp_digits", "SVG", "SSIM"): 0.7090,
    ("srvp_digits", "SRVP", "PSNR"): 16.93,
    ("srvp_digits", "SLAMP", "PSNR"): 18.07,
    ("srvp_kth", "SVG", "PSNR"): 28.06,
    ("srvp_kth", "SVG", "FVD"): 377,
    ("srvp_kth", "SRVP", "SSIM"): 0.8697,
    ("srvp_kth", "SV2P", "LPIPS"): 0.2049,
    ("srvp_bair", "SVG", "PSNR"): 18.95,
    ("srvp_bair", "SVG", "FVD"): 255,
    ("srvp_bair", "SAVP", "FVD"): 152,
    ("srvp_bair", "SV2P", "FVD"): 965,
    ("castrejon_bair", "SVG-LP", "FVD"): 256.62,
    ("grid_keypoints_kth", "SVG-LP", "PSNR"): 23.91,
    ("bair_fvd", "SVG-FP", "FVD"): 315.5,
    ("weizmann_entropy", "VideoVAE", "IS"): None,
    ("svg_curves", "SVG-LP", "SSIM, best"): None,
}


def test_quotations() -> None:
    rows = {(table.name, row.name): row for table in PACKAGED for row in table.rows}
    assert {key: rows[key[:2]].published[key[2]].value for key in QUOTED} == QUOTED


@pytest.mark.parametrize("table", PACKAGED, ids=lambda table: table.name)
def test_packaged_tables_print_their_numbers(table: Table) -> None:
    text = as_markdown(table, [], {})
    assert table.title in text
    for row in table.rows:
        (line,) = [line for line in text.splitlines() if line.startswith((f"| {row.name} ", f"| *{row.name} "))]
        cells = [cell.strip().split(" ±")[0].split(" [")[0] for cell in line.split("|")[2:]]
        for column, cell in zip(table.columns, cells, strict=False):
            said = row.published.get(column.name)
            value = "–" if said is None else "not read" if said.value is None else f"{said.value:g}"
            assert cell == value, (row.name, column.name)


def test_list_of_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names() and "published only" in "".join(lines)


def test_unknown_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "mocogan1"]) == 2
    assert "did you mean 'table/mocogan_1'?" in capsys.readouterr().err


def test_examples_of_the_manual(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    sweep_text, table_text = (block.split("```")[0] for block in text.split("```yaml\n")[1:])
    for name, block in (("sweep", sweep_text), ("table", table_text)):
        (tmp_path / f"{name}.yaml").write_text(block)
    sweep = read_sweep(str(tmp_path / "sweep.yaml"))
    runs = plan(sweep.cells(), sweep.varied, sweep.protocols, tmp_path, sweep.name)
    assert f"These are {len(runs)} runs" in text and sweep.name == "shapes"
    table = read_table(str(tmp_path / "table.yaml"))
    assert len(missing_runs(reproduce(table, ["cpu"], tmp_path))) == 3 + 1
    for line in text.split("```bash\n")[1].split("```")[0].splitlines():
        command, name = [*line.split()[1:], "mocogan_1"][:2]
        assert (read_sweep if command == "sweep" else read_table)(name), line
