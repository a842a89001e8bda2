import signal
from pathlib import Path

import numpy as np

from datamodules.cache import open_cache
from datamodules.content import Source
from tests.datamodules.byte_reader import ByteReader, byte_files
from tests.datamodules.listing import names_in
from tests.datamodules.processes import running, until

# Builds the cache of a folder; notes each file it reads, which takes it some seconds.
BUILDER = """
import sys, time
from pathlib import Path
from datamodules.cache import open_cache
from datamodules.content import Source
from tests.datamodules.byte_reader import ByteReader

class Slow(ByteReader):
    def read(self, path):
        with open(sys.argv[2], "a") as log:
            log.write(path.name)
        time.sleep(float(sys.argv[3]))
        return super().read(path)

sources = [Source(path, path.name, {"category": 0}) for path in sorted(Path(sys.argv[1]).iterdir())]
cache = open_cache("bytes", sources, Slow())
print(cache.folder, cache.lengths.sum(), flush=True)
"""


def test_of_two_processes_one_builds_and_the_other_says_whom_it_waits_for(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "reads"
    byte_files(data, a=b"one", b=b"two", c=b"three")
    with running(BUILDER, data, log, 0.5, count=2) as builders:
        outputs = [builder.communicate(timeout=60) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], outputs
    assert log.read_text() == "abc"  # each file was read once
    assert outputs[0][0] == outputs[1][0] and outputs[0][0].endswith(" 11\n")
    waits = [builders[1 - i].pid for i, (_, told) in enumerate(outputs) if f"{builders[1 - i].pid} on" in told]
    assert len(waits) == 1, outputs
    assert sum("waiting for process" in told for _, told in outputs) == 1


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, cache_folder: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "reads"
    sources = byte_files(data, a=b"one", b=b"two", c=b"three")
    with running(BUILDER, data, log, 2) as (builder,):
        until(lambda: log.exists() and log.read_text() == "ab")
        builder.send_signal(signal.SIGKILL)
        builder.wait()
    assert [name for name in names_in(cache_folder) if ".building-" in name]
    reader = ByteReader()
    cache = open_cache("bytes", [Source(s.path, s.name, {"category": 0}) for s in sources], reader)
    assert reader.reads == ["b", "c"]  # the first was done
    clips = cache.select(np.arange(3)).gather(np.arange(3), np.zeros((3, 1), dtype=int))
    assert bytes(clips[:, 0, 0, 0, 0]) == b"ott"
    assert names_in(cache_folder) == sorted([cache.folder.name, "known"])
