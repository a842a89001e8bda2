"""Digests of files: numbers are kept by what was in a file, not by its name."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datamodules.build_progress import BuildProgress
from datamodules.content import Source, file_digest, fingerprint
from experiments.score.files import Video
from experiments.score.rows import Shelf


class Digests:
    """Digests of files, remembered by path, size and time stamps: a file is hashed once until it changes."""

    def __init__(self, root: Path, threads: int) -> None:
        self._shelf = Shelf(root, {"of": "digests"})
        self._threads = threads
        self._stamps: dict[Path, str] = {}
        self._found: dict[Path, str | None] = {}

    def of(self, video: Video) -> str | None:
        """None for a file that cannot be read."""
        return self._found[video.path]

    def changed(self, video: Video) -> bool:
        """Whether the file is no longer the one that was hashed."""
        return _stamp(video.path) != self._stamps[video.path]

    def find(self, videos: Sequence[Video]) -> None:
        """Hashes those that are not known yet."""
        new = [video.path for video in videos if video.path not in self._found]
        self._stamps |= {path: _stamp(path) for path in new}
        unknown = []
        for path in new:
            facts = self._shelf.facts(self._stamps[path])
            if facts is None:
                unknown.append(path)
            else:
                self._found[path] = facts["digest"]
        if not unknown:
            return
        with ThreadPoolExecutor(self._threads) as pool, BuildProgress("digests", len(unknown)) as progress:
            for path, digest in zip(unknown, pool.map(file_digest, unknown), strict=True):
                self._found[path] = digest
                if digest is not None:  # what could not be read may be readable the next time
                    self._shelf.add(self._stamps[path], {"digest": digest})
                progress.advance(videos=1)

    def close(self) -> None:
        """Gives the file back."""
        self._shelf.close()


def _stamp(path: Path) -> str:
    return fingerprint([Source(path, "", {})])
