"""Everybody Dance Now's three trainings as one run: what is trained in a step, and at which rate."""

from typing import Literal, NamedTuple

from datamodules.errors import BenchError
from lightning_modules.pix2pixhd.schedule import Decay

Name = Literal["global", "local", "face"]


class Stages(NamedTuple):
    """Lengths of the stages in steps. What lies behind the last belongs to it.

    Attributes:
        lr: at the start of each stage.
        decay_share: of each stage, at its end, in which the rate falls to 0.
        global_steps: G1 alone, at half the size.
        local_steps: all of the main network.
        face: whether faces have a network, which is trained in the last stage.
        face_steps: length of that stage as far as the rate goes; with 0 it does not fall.
        face_fix_steps: first steps of the last in which the main discriminators stay as they are.
    """

    lr: float
    decay_share: float
    global_steps: int
    local_steps: int
    face: bool
    face_steps: int
    face_fix_steps: int

    def at(self, step: int) -> Name:
        """The stage of a step, counted from 0."""
        if step < self.global_steps:
            return "global"
        return "local" if step < self.global_steps + self.local_steps or not self.face else "face"

    def face_alone(self, step: int) -> bool:
        """Whether of the discriminators only the face's is trained."""
        start = self.global_steps + self.local_steps
        return self.at(step) == "face" and step < start + self.face_fix_steps

    def rate(self, step: int) -> float:
        """The learning rate of a step: constant, then a line to 0, in each stage anew."""
        stage = self.at(step)
        starts = {"global": 0, "local": self.global_steps, "face": self.global_steps + self.local_steps}
        lengths = {"global": self.global_steps, "local": self.local_steps, "face": self.face_steps}
        falling = round(self.decay_share * lengths[stage])
        return Decay(self.lr, lengths[stage] - falling, falling).at(step - starts[stage])


def check_stages(
    n_local_enhancers: int, face: bool, global_steps: int, face_steps: int, face_fix_steps: int, decay_share: float
) -> None:
    """Raises `BenchError` for stages that train nothing."""
    if global_steps and not n_local_enhancers:
        raise BenchError(
            f"model.init_args.global_steps is {global_steps}, but without n_local_enhancers all of the main network is "
            "trained at once: set n_local_enhancers, or local_steps alone"
        )
    if (face_steps or face_fix_steps) and not face:
        raise BenchError(
            f"model.init_args.face is false, but face_steps is {face_steps} and face_fix_steps {face_fix_steps}: they "
            "are of the face's network; set face, or both to 0"
        )
    if not 0 <= decay_share <= 1:
        raise BenchError(f"model.init_args.decay_share must lie in 0 to 1, found {decay_share}")
