from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.folder_manifest import Row, read_manifest


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_all_columns_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path, "split,label,path,end,start,subject\ntrain,walk,a/b.mp4,20,5,Ann\n test , run,c.avi,,,Bob\n")
    assert read_manifest(path) == [
        Row(tmp_path / "a/b.mp4", "a/b.mp4[5:20]", "walk", "Ann", 5, 20, "train"),
        Row(tmp_path / "c.avi", "c.avi", "run", "Bob", 0, None, "test"),
    ]


def test_the_path_alone_is_enough(tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, 'path\n"a, b.mp4"\n', encoding="utf-8-sig"))
    assert rows == [Row(tmp_path / "a, b.mp4", "a, b.mp4", None, None, 0, None, None)]


def test_parts_of_one_file(tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, "path,start,end\na.mp4,0,10\na.mp4,10,\na.mp4,,5\n"))
    assert [(row.name, row.start, row.end) for row in rows] == [
        ("a.mp4[0:10]", 0, 10),
        ("a.mp4[10:]", 10, None),
        ("a.mp4[0:5]", 0, 5),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the column path is missing"),
        ("path\n", "has no row below its header"),
        ("file,label\na,b\n", "no column is called 'file'; there are path, label, subject, start, end, split"),
        ("path,path\na,b\n", "two columns are called 'path'"),
        ("label\nwalk\n", "the column path is missing"),
        ("path,label\na.mp4,walk\nb.mp4,\n", "row 3, column label: found '', expected its class"),
        ("path,split\na.mp4,training\n", "row 2, column split: found 'training', expected train, val or test"),
        ("path,start\na.mp4,x\n", "row 2, column start: found 'x', expected a whole number"),
        ("path,start\na.mp4,-1\n", "row 2, column start: found '-1', expected a whole number"),
        ("path,end\na.mp4,1.5\n", "row 2, column end: found '1.5', expected a whole number"),
        ("path,start,end\na.mp4,5,5\n", "row 2, column end: found '5', expected more than start, 5"),
        ("path,label\na.mp4\n", "row 2: expected 2 values"),
        ("path,label\na.mp4,b,c\n", "row 2: expected 2 values"),
        ("path\na.mp4\nb.mp4\na.mp4\n", "row 4, column path: a.mp4 is there twice"),
        ('path\n"a.mp4\n', "cannot be read"),
    ],
)
def test_mistakes_are_named_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BenchError) as error:
        read_manifest(write(tmp_path, text))
    assert message in str(error.value) and str(tmp_path / "manifest.csv") in str(error.value)


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        read_manifest(write(tmp_path, "path\nä.mp4\n", encoding="latin-1"))
    with pytest.raises(BenchError, match=r"none\.csv cannot be read: No such file"):
        read_manifest(tmp_path / "none.csv")
