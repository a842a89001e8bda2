"""vid2vid's layouts: `{phase}_{kind}/SEQUENCE/NAME.*`, a video for each sequence."""

from collections.abc import Mapping
from pathlib import Path

from datamodules.errors import BenchError
from datamodules.frame_sets.data import FrameSetData
from datamodules.frame_sets.listing import FrameSource, Role, videos_of
from datamodules.published import folders, some


class SequenceData(FrameSetData):
    """Base of the sets in that layout.

    The official code pairs sequences and frames by their sorted positions; here their names decide. Where a frame is
    left out (`on_error: skip`), its sequence becomes two videos.

    Attributes:
        kinds: for each role the kind of its folder, and the endings of its files.
    """

    kinds: Mapping[str, tuple[str, tuple[str, ...]]]

    def list_phase(self, root: Path, phase: str) -> list[FrameSource]:
        """A video for each sequence."""
        places = {role: self.layout.require(root, f"{phase}_{kind}") for role, (kind, _) in self.kinds.items()}
        names = {role: folders(place) for role, place in places.items()}
        sequences = names["picture"]
        for role, found in names.items():
            differing = sorted(set(found) ^ set(sequences))
            if differing:
                raise BenchError(
                    f"{self.name}: {places['picture']} and {places[role]} hold different sequences: {some(differing)} "
                    "lie in one of them only"
                )
        groups = {
            f"{phase}/{name}": {role: Role(places[role] / name, ends) for role, (_, ends) in self.kinds.items()}
            for name in sequences
        }
        found_frames = self.paired(phase, groups)
        return [
            video
            for name, found in zip(groups, found_frames, strict=True)
            for video in videos_of(name, found.stretches())
        ]
