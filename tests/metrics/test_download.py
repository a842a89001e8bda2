from collections.abc import Iterator
from pathlib import Path

import pytest

from datamodules.errors import BenchError
from metrics.download import download
from tests.helpers.file_server import Site, serving

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(CONTENT) as site:
        yield site


def test_whole_with_progress(site: Site, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    download(site.url, tmp_path / "part", len(CONTENT), lambda done, total: told.append((done, total)))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)


def test_a_cut_connection_is_taken_up_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cuts = [300_000, 200_000]
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert site.seen == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_command_goes_on(site: Site, tmp_path: Path) -> None:
    site.cuts = [300_000, 0]
    with pytest.raises(BenchError, match=r"cut after 300,000 of 1,048,576 bytes; 300.0 kB are kept, the same command"):
        download(site.url, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == 300_000
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert site.seen[-1] == "bytes=300000-"


def test_a_file_that_changed_meanwhile_starts_anew(site: Site, tmp_path: Path) -> None:
    site.cuts = [300_000, 0]
    with pytest.raises(BenchError):
        download(site.url, tmp_path / "part")
    site.content, site.tag = CONTENT[::-1], '"two"'
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(("ranges", "tag"), [(False, '"one"'), (True, None), (True, 'W/"weak"')])
def test_a_server_that_cannot_go_on_sends_it_all_again(
    site: Site, tmp_path: Path, ranges: bool, tag: str | None
) -> None:
    site.ranges, site.tag, site.cuts = ranges, tag, [300_000]
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert len(site.seen) == 2


def test_a_part_longer_than_the_file_starts_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    (tmp_path / "part.etag").write_text('"one"')
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_size(site: Site, tmp_path: Path) -> None:
    site.length = False
    download(site.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_another_size_is_refused_before_it_is_fetched(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"the server offers 1,048,576 bytes, 7 were expected"):
        download(site.url, tmp_path / "part", 7)
    assert not (tmp_path / "part").exists()


def test_not_found_and_not_reached(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"/file/no: the server answers 404 Not Found"):
        download(f"{site.url}/no", tmp_path / "part")
    with pytest.raises(BenchError, match=r"cannot be reached .*a machine without network"):
        download("http://127.0.0.1:9/file", tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_no_room(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.download.free_bytes", lambda path: 1000)
    with pytest.raises(BenchError, match=r"1.0 MB to come, 1.0 kB free in"):
        download(site.url, tmp_path / "part")
