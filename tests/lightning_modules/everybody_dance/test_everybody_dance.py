"""Faces, memory, stages and what is refused."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.everybody_dance.crops import add, cut, places, seen
from lightning_modules.everybody_dance.faces import Face, verdicts
from lightning_modules.everybody_dance.module import EverybodyDance, pairs
from lightning_modules.everybody_dance.networks import FaceDiscriminator
from lightning_modules.everybody_dance.stages import Stages
from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.pix2pixhd.losses import perceptual
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer
from metrics.features.vgg import Vgg19Features
from metrics.weights import MissingWeights
from tests.helpers.pix2pixhd_step import a_batch, train

SMALL: dict[str, Any] = {
    "size": 32,
    "n_local_enhancers": 1,
    "ngf": 2,
    "n_downsample_global": 2,
    "n_blocks_global": 1,
    "n_blocks_local": 1,
    "ndf": 4,
    "num_D": 2,
    "face_size": 8,
    "face_ngf": 4,
    "face_n_downsample": 1,
    "face_n_blocks": 1,
    "face_ndf": 4,
    "lambda_vgg": 0,
    "global_steps": 2,
    "local_steps": 2,
    "face_steps": 4,
    "face_fix_steps": 1,
}
BOXES = torch.tensor([[4.0, 12.0, 6.0, 14.0], [10.0, 18.0, 20.0, 28.0]])


def small(**arguments: Any) -> EverybodyDance:
    torch.manual_seed(0)
    return EverybodyDance(**{**SMALL, **arguments})


def dancers(step: int = 0, frames: int = 4) -> Any:
    batch = a_batch(step, frames=frames)
    return {**batch, "face_box": BOXES[:, None].expand(-1, frames, -1).clone()}


class WithFaces(L.Callback):
    """Boxes for the batches that `train` makes."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(trainer.global_step)
        batch.update(dancers(trainer.global_step))


def test_official_numbers_of_parameters() -> None:
    with torch.device("meta"):
        networks = {
            182_452_675: GlobalGenerator(6, 3, 64, 4, 9),
            182_715_939: LocalEnhancer(6, 3, 32, 4, 9, 1, 3),
            26_724_291: GlobalGenerator(6, 3, 64, 3, 5),
            5_547_906: MultiscaleDiscriminator(12, 64, 3, 2),
            2_769_601: FaceDiscriminator(64, 3),
        }
        whole = EverybodyDance()
    for count, network in networks.items():
        assert sum(p.numel() for p in network.parameters()) == count
    assert sum(p.numel() for p in whole.generator.parameters()) == 182_715_939 + 26_724_291


def test_squares_are_where_the_boxes_are_and_stay_inside() -> None:
    frames = torch.arange(2 * 3 * 20 * 30.0).reshape(2, 3, 20, 30)
    boxes = torch.tensor([[5.0, 13.0, 7.0, 15.0], [14.0, 30.0, -6.0, 4.0]])
    at = places(boxes, 8, 20, 30)
    squares = cut(frames, at)
    assert torch.equal(squares[0], frames[0, :, 5:13, 7:15])
    assert torch.equal(squares[1], frames[1, :, 12:20, 0:8])  # moved inside
    added = add(frames, torch.ones_like(squares), at)
    assert torch.equal(added[0, :, 5:13, 7:15], frames[0, :, 5:13, 7:15] + 1)
    assert (added - frames).sum() == 2 * 3 * 64
    assert seen(torch.tensor([[0, 0, 0, 0], [0, 8, 0, 8]])).tolist() == [0, 1]


def test_frames_without_a_face_stay_as_they_are_and_count_nothing() -> None:
    method = small()
    pose, body = (torch.rand(2, 3, 32, 32) for _ in range(2))
    boxes = torch.stack([torch.zeros(4), BOXES[1]])
    frame = method.generator.with_face(pose, body, boxes)
    assert torch.equal(frame.whole[0], body[0]) and not torch.equal(frame.whole[1], body[1])

    def judge(x: Tensor) -> Tensor:
        return x[:, 3:4]

    squares = torch.stack([torch.full((3, 2, 2), 5.0), torch.full((3, 2, 2), 0.25)])
    face = Face(squares, squares, squares, seen(boxes))
    assert verdicts(judge, [face, face], fake=True, wanted=True) == 0.75**2  # type: ignore[arg-type]
    assert verdicts(judge, [face], fake=True, wanted=False) == 0.25**2  # type: ignore[arg-type]
    nobody = face._replace(counted=torch.zeros(2))
    assert verdicts(judge, [nobody], fake=True, wanted=True) == 0  # type: ignore[arg-type]


def test_pairs_hold_both_poses_then_both_frames() -> None:
    poses, frames = ([torch.full((1, 3, 2, 2), float(k + start)) for k in range(3)] for start in (0, 10))
    found = pairs(poses, frames)
    assert found.shape == (2, 12, 2, 2)
    assert found[:, ::3, 0, 0].tolist() == [[0, 1, 10, 11], [1, 2, 11, 12]]


def test_sampling_goes_from_frame_to_frame_after_zeros() -> None:
    method = small(global_steps=0).eval()
    method.generator.face_trained.fill_(True)
    assert method.generator.face is not None
    method.generator.face.get_parameter("model.12.bias").data[0] = 3.0  # it leads red beyond the range
    batch = dancers()
    sampled = method.sample(batch, ClipNoise(0, batch["index"]))
    poses = (batch["condition"] + 1) / 2
    before = torch.zeros(2, 3, 32, 32)
    for t in range(4):
        body = method.generator.body(torch.cat([poses[:, :, t], before], 1))
        before = method.generator.with_face(poses[:, :, t], body, BOXES).whole
        assert not torch.equal(before, body)
        torch.testing.assert_close(sampled[:, :, t], before.clamp(-1, 1), rtol=0, atol=1e-4)
        assert before.max() > 1.1
    signed = small(global_steps=0, pose_range="signed").eval()
    assert not torch.allclose(signed.sample(batch, ClipNoise(0, batch["index"])), sampled, atol=1e-2)


def test_a_face_is_trained_by_what_it_does_to_the_next_frame_too() -> None:
    method = small(global_steps=0, local_steps=1)
    batch = dancers()
    poses, real = ([batch[key][:, :, t] for t in (0, 1)] for key in ("condition", "video"))
    made = method.make(poses, real, [BOXES] * 2, step=1).made
    made[1].body.square().mean().backward()  # before the second face was added
    assert method.generator.face is not None
    assert any(p.grad is not None and p.grad.abs().max() > 1e-8 for p in method.generator.face.parameters())
    assert all(p.grad is None for p in method.generator.body.parameters())


class Moved(L.Callback):
    """Parts of all networks that each step changed, and its rate."""

    def __init__(self) -> None:
        self.steps: list[set[str]] = []
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.before = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        named = pl_module.named_parameters()
        changed = {name for name, p in named if not torch.equal(self.before[name], p)}
        parts = ("body.net.model.", "body.net.model1_", "body.head", "generator.face", "face_discriminator")
        scales = ("discriminator.scale0", "discriminator.scale1")
        self.steps.append(
            {part.strip(".") for part in parts if any(part in name for name in changed)}
            | {scale for scale in scales if any(name.startswith(scale) for name in changed)}
        )
        self.rates.append(trainer.optimizers[1].param_groups[0]["lr"])


def test_the_stages_of_one_run() -> None:
    moved = Moved()
    train(small(), 8, WithFaces(), moved)
    g1, g2 = "body.net.model", "body.net.model1_"
    coarse, fine = "discriminator.scale0", "discriminator.scale1"
    faces = {"generator.face", "face_discriminator"}
    assert moved.steps == [
        *[{g1, "body.head", coarse}] * 2,
        *[{g1, g2, coarse, fine}] * 2,
        faces,  # face_fix_steps
        *[faces | {coarse, fine}] * 3,
    ]
    assert moved.rates == pytest.approx([2e-4 * rate for rate in (1, 1, 1, 1, 1, 1, 1, 0.5)])


def test_idle_parts_are_those_that_do_not_move() -> None:
    method, moved = small(), Moved()
    train(method, 8, WithFaces(), moved)
    for step, parts in enumerate(moved.steps):
        for part in parts:
            assert not any(idle.endswith(part) for idle in method.idle(step)), (step, part)
    names = [name for name, _ in method.named_parameters()]
    assert all(any(name.startswith(f"{part}.") for name in names) for part in method.idle(0))


@pytest.mark.parametrize("cut_at", [1, 2, 3, 5])
def test_a_run_that_was_broken_off_in_any_stage_ends_as_an_unbroken_one(cut_at: int, tmp_path: Path) -> None:
    whole, rest = small(), small()
    train(whole, 6, WithFaces())
    train(small(), cut_at, WithFaces()).save_checkpoint(tmp_path / "cut.ckpt")
    train(rest, 6, WithFaces(), ckpt=tmp_path / "cut.ckpt")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(rest.state_dict()[name], tensor), name


def test_rollouts_take_frames_in_a_row_anywhere_in_the_clip() -> None:
    method = small(rollout=3, global_steps=0)
    batch = dancers(frames=6)
    starts = set()
    for seed in range(12):
        torch.manual_seed(seed)
        roll = method.roll(batch, step=0)
        assert len(roll.made) == len(roll.real) == 3
        for clip in range(2):
            equal = [
                [bool(torch.equal(real[clip], batch["video"][clip, :, t])) for t in range(6)] for real in roll.real
            ]
            at = [row.index(True) for row in equal]
            assert at == [at[0], at[0] + 1, at[0] + 2]
            starts.add(at[0])
        assert all(torch.equal(p, (c + 1) / 2) for p, c in zip(roll.poses, _same(batch, roll.real), strict=True))
    assert starts == {0, 1, 2, 3}


def _same(batch: Any, real: list[Tensor]) -> list[Tensor]:
    """The condition of each frame."""
    found = []
    for frame in real:
        at = [next(t for t in range(6) if torch.equal(frame[c], batch["video"][c, :, t])) for c in range(2)]
        found.append(torch.stack([batch["condition"][c, :, t] for c, t in enumerate(at)]))
    return found


@pytest.mark.parametrize(("which", "expected"), [("first", (0, 0)), ("own", (0, 1))])
def test_which_frames_box_is_taken(which: str, expected: tuple[int, int]) -> None:
    method = small(face_box=which, global_steps=0)
    batch = dancers(frames=2)
    batch["face_box"][:, 1] += 2
    boxes = method.roll(batch, step=2).boxes
    assert all(torch.equal(box, batch["face_box"][:, t]) for box, t in zip(boxes, expected, strict=True))


@pytest.mark.parametrize(("steps", "coarse", "face"), [(1, True, False), (3, False, False), (5, False, True)])
def test_sampling_shows_what_the_stage_has_trained(steps: int, coarse: bool, face: bool) -> None:
    method = small()
    train(method, steps, WithFaces())
    method.eval()
    batch = dancers(frames=1)
    sampled = method.sample(batch, ClipNoise(0, batch["index"]))[:, :, 0]
    pose = (batch["condition"][:, :, 0] + 1) / 2
    x = torch.cat([pose, torch.zeros_like(pose)], 1)
    body = method.generator.body
    if coarse:
        small_one = body(body.coarse_size(x), "global")
        expected = torch.nn.functional.interpolate(small_one, (32, 32), mode="bilinear", align_corners=False)
    else:
        expected = method.generator.with_face(pose, body(x), BOXES).whole if face else body(x)
    torch.testing.assert_close(sampled, expected.clamp(-1, 1), rtol=0, atol=1e-4)


def test_rate_begins_anew_in_each_stage() -> None:
    stages = Stages(1.0, 0.5, 4, 8, True, 2, 0)
    assert [stages.rate(step) for step in (0, 2, 3, 4, 8, 10, 12, 13)] == [1, 1, 0.5, 1, 1, 0.5, 1, 1]
    assert Stages(1.0, 0.5, 0, 4, True, 0, 0).rate(10**6) == 1  # a last stage of no stated length
    assert [stages.at(step) for step in (3, 4, 11, 12, 99)] == ["global", "local", "local", "face", "face"]
    assert stages._replace(face=False).at(99) == "local"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 20}, "size must be a multiple of 8"),
        ({"size": (32, 36)}, r"multiple of 8 .* found \(32, 36\)"),
        ({"face_size": 7}, "face_size must be a multiple of 2"),
        ({"face_size": 64}, "face_size is 64, larger than the frames"),
        ({"channels": 1}, "channels must be 3, found 1"),
        ({"rollout": 1}, "rollout must be at least 2"),
        ({"face": False}, "face is false, but face_steps is 4"),
        ({"n_local_enhancers": 0}, "global_steps is 2, but without n_local_enhancers"),
        ({"decay_share": 1.5}, "decay_share must lie in 0 to 1"),
    ],
)
def test_arguments_that_make_no_method(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small(**options)


def test_data_that_do_not_fit() -> None:
    data: Any = type("Data", (), {"name": "dancer", "height": 32, "width": 32, "channels": 3, "frames": 1})()
    with pytest.raises(BenchError, match="rollout is 2, but the clips of dancer have 1 frames"):
        small().check_data(data)
    with pytest.raises(BenchError, match="main network would stay as it was drawn"):
        small(global_steps=0, local_steps=0).check_data(data)
    batch = dancers()
    batch["condition"] = batch["condition"][:, :, :3]
    with pytest.raises(BenchError, match=r"differs in frames: video 4, .*condition 3"):
        small().on_before_batch_transfer(batch, 0)


def test_needs() -> None:
    assert EverybodyDance.needs() == {"video", "condition", "face_box"}
    assert EverybodyDance.needs(face=False) == {"video", "condition"}


@pytest.mark.parametrize(("step", "of_two_frames"), [(0, 1.0), (2, 2.0), (4, 2.0)])
def test_perceptual_loss_is_the_sum_of_two_frames_and_half_of_it_for_g1_alone(step: int, of_two_frames: float) -> None:
    method = small(lambda_vgg=10.0, face_size=16)
    torch.manual_seed(1)
    method._vgg = [Vgg19Features(4)]
    batch = dancers(frames=2)
    poses, real = ([batch[key][:, :, t] for t in (0, 1)] for key in ("condition", "video"))
    roll = method.make(poses, real, [BOXES] * 2, step)
    fake = pairs(roll.poses, [frame.whole for frame in roll.made])
    on_real = method.discriminator(pairs(roll.poses, roll.real), method.skipped(step))
    losses = method.generator_losses(roll, fake, on_real, step)
    network = method._vgg[0]
    frames = [perceptual(network, f.whole, true) for f, true in zip(roll.made, roll.real, strict=True)]
    torch.testing.assert_close(losses["vgg"], 10 * of_two_frames / 2 * (frames[0] + frames[1]))
    if step == 4:  # half of a frame's weight for each face
        at = places(BOXES, 16, 32, 32)
        faces = [perceptual(network, cut(f.whole, at), cut(true, at)) for f, true in zip(roll.made, real, strict=True)]
        torch.testing.assert_close(losses["face_vgg"], 10 * 0.5 * (faces[0] + faces[1]))
    else:
        assert "face_vgg" not in losses


def test_perceptual_loss_without_its_weights_is_an_error_that_tells_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="reelbench weights fetch vgg19"):
        train(small(lambda_vgg=10.0), 1, WithFaces())
