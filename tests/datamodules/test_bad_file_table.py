"""The table of broken and odd files in the documentation is what is found now."""

from pathlib import Path

from tests.datamodules.bad_files import CASES, HEAD, rows, write

DOCS = Path(__file__).parents[2] / "docs" / "results" / "data.md"


def test_the_table_is_as_found(tmp_path: Path) -> None:
    write(tmp_path / "files")
    found = list(rows(tmp_path / "files"))
    text = DOCS.read_text(encoding="utf-8")
    start = text.index(HEAD) + len(HEAD)
    assert text[start : text.index("\n\n", start)].splitlines() == found
    assert len(found) == len(CASES) == len({name for _, name, _ in CASES})


def test_every_status_is_there(tmp_path: Path) -> None:
    """So that a check that calls everything sound, or nothing, does not pass by an edited table."""
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"| {status} |" in text for status in ("ok", "warning", "error"))
