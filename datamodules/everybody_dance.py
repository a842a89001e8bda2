"""Everybody Dance Now (Chan et al., ICCV 2019): one dancer's frames, drawn poses, and boxes of the face."""

from pathlib import Path
from typing import Any

from datamodules.bad_files import BadFile, listed, log
from datamodules.errors import BenchError
from datamodules.frame_sets.data import FrameSetData
from datamodules.frame_sets.keypoints import KEYPOINT_ENDINGS, Bodies, FaceBoxes, read_people
from datamodules.frame_sets.listing import Frame, FrameSource, Role, runs, videos_of
from datamodules.frame_sets.maps import ColourMap, Part
from datamodules.pose.stick_edn import CANVAS, LABEL


class EverybodyDance(FrameSetData):
    """A dancer in the folders that the official code trains on.

    A video is a run of frames whose numbers rise by one step: where the preparation left frames out, because it found
    nobody or two people, the frames on both sides do not follow one another. The official code pairs them all the same.

    Frames of 16:9 were squashed to 2:1, and key-points are given in the original frames: x and y are scaled apart.

    Args:
        size: (256, 512) in the official code's first stage, (512, 1024) later.
        frames: the official code draws pairs.
        faces: whether boxes of the face are read.
        keypoints: folder of key-point files in the set's folder, for `pose`; None for none. Frames with nobody or with
            more than one person are left out, as the official preparation does.
        skeleton: of `pose`; bodies are converted to it. The released data are body_23.
        keypoint_size: height and width of the pictures in which the key-points are given.
        step: by how much the numbers of successive frames differ; None takes the commonest difference.

    Other arguments are those of `FrameSetData`.
    """

    origin = (
        "the project page of Everybody Dance Now (non-commercial), or the official preparation of a video of your own, "
        "with the dancer's consent"
    )
    tree = (
        "{phase}_img/NAME.png            the frame, 1024 x 512",
        "{phase}_label/NAME.png          the pose, drawn by the preparation of the official code",
        "{phase}_facetexts128/NAME.txt   miny maxy minx maxx of the face (faces: true)",
        "KEYPOINTS/NAME_pose.yml (_face, _hand_left, _hand_right), or NAME_keypoints.json   (keypoints: KEYPOINTS)",
        "NAME ends in the frame's number; {phase} is train or test",
    )

    def __init__(
        self,
        dataset: str = "everybody_dance",
        size: int | tuple[int, int] = (256, 512),
        frames: int = 2,
        faces: bool = True,
        keypoints: str | None = None,
        skeleton: str = "body_23",
        keypoint_size: tuple[int, int] = CANVAS,
        step: int | None = None,
        **common: Any,
    ) -> None:
        super().__init__(dataset=dataset, size=size, frames=frames, **common)
        self.faces, self.keypoints, self.step = faces, keypoints, step
        parts: list[Part] = [ColourMap()]
        if faces:
            parts.append(FaceBoxes(LABEL))
        if keypoints:
            self.skeleton = skeleton
            parts.append(Bodies(skeleton, size=keypoint_size))
        self.know(parts)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """The drawn pose as `condition`, boxes of the face, poses where there are key-points."""
        boxes = {"face_box"} if init_args.get("faces", True) else set()
        poses = {"pose"} if init_args.get("keypoints") else set()
        return super().gives(**init_args) | {"condition"} | boxes | poses

    def list_phase(self, root: Path, phase: str) -> list[FrameSource]:
        """A video for each run of frames."""
        roles = {
            "picture": Role(self.layout.require(root, f"{phase}_img")),
            "condition": Role(self.layout.require(root, f"{phase}_label")),
        }
        if self.faces:
            roles["face"] = Role(self.layout.require(root, f"{phase}_facetexts128"), (".txt",))
        more: tuple[str, ...] = ()
        if self.keypoints:
            roles["keypoints"] = Role(self.layout.require(root, self.keypoints), KEYPOINT_ENDINGS)
            more = ("keypoints",)  # one folder serves all phases, and frames that were left out
        frames = self.paired(phase, {phase: roles}, more)[0].frames
        if self.keypoints:
            frames = self._of_one_person(phase, frames)
        return videos_of(phase, runs(frames, self.step))

    def _of_one_person(self, phase: str, frames: list[Frame]) -> list[Frame]:
        try:
            persons = [read_people(files["keypoints"]).persons for _, files in frames]
        except BadFile as error:
            raise BenchError(f"{self.name} {phase}: {error}") from error
        others = [(stem, f"{n} persons") for (stem, _), n in zip(frames, persons, strict=True) if n != 1]
        if len(others) == len(frames):
            raise BenchError(f"{self.name} {phase}: no frame shows exactly one person:\n{listed(others)}")
        if others:
            log.warning(
                "%s: %d of %d frames of %s do not show exactly one person and are left out:\n%s",
                *(self.name, len(others), len(frames), phase, listed(others)),
            )
        return [frame for frame, n in zip(frames, persons, strict=True) if n == 1]
