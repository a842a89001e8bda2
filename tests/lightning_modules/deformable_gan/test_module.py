from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.base import ClipData, Store
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.skeletons import BODY_25, COCO_18
from lightning_modules.contract import ClipNoise
from lightning_modules.deformable_gan.losses import discriminator_loss, generator_loss
from lightning_modules.deformable_gan.module import SMALLEST, DeformableGAN
from lightning_modules.deformable_gan.networks import channels
from lightning_modules.deformable_gan.regions import SAME, regions, whole_body
from lightning_modules.pose_image import frames_of, wanted_of
from lightning_modules.tf_adam import TFAdam
from tests.helpers.built import model_args
from tests.lightning_modules.deformable_gan.people import person, scattered

TINY: dict[str, Any] = {"ngf": 2, "ndf": 2, "features": "rgb", "fresh_batch": False}
FRAMES = 3


def tiny(**options: Any) -> DeformableGAN:
    torch.manual_seed(0)
    return DeformableGAN(**{**TINY, **options})


def clips(n: int = 2, frames: int = FRAMES, size: tuple[int, int] = (128, 64)) -> VideoBatch:
    draw = torch.Generator().manual_seed(0)
    return {
        "video": torch.rand(n, 3, frames, *size, generator=draw) * 2 - 1,
        "source": torch.rand(n, 3, *size, generator=draw) * 2 - 1,
        "source_pose": scattered(n, 1)[:, None],
        "pose": scattered(n * frames, 2).view(n, 1, frames, 18, 3),
        "index": torch.arange(n),
        "name": [f"clip{i}" for i in range(n)],
    }


def noise(n: int = 2, seed: int = 0) -> ClipNoise:
    return ClipNoise(seed, torch.arange(n))


class Pairs:
    """Two videos of one picture with their sources, in memory."""

    attributes: dict[str, np.ndarray] = {}
    digest = "pairs"

    def __init__(self, pose: Tensor, source_pose: Tensor) -> None:
        self.lengths, self.names = np.ones(2, dtype=np.int64), ["one", "two"]
        self.poses = {"pose": pose[:, None, None], "source_pose": source_pose[:, None]}

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return np.zeros((len(videos), 1, 128, 64, 3), np.uint8)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        pictures = {"video": np.zeros((len(videos), 3, 1, 128, 64), np.uint8)}
        pictures["source"] = pictures["video"][:, :, 0]
        poses = {key: pose.numpy()[videos] for key, pose in self.poses.items()}
        return {key: value for key, value in {**pictures, **poses}.items() if key in keys}


class PairClips(ClipData):
    name = "pairs"
    skeleton = COCO_18.name
    tracks = frozenset({"pose", "source", "source_pose"})

    def __init__(self, pose: Tensor, source_pose: Tensor, size: tuple[int, int] = (128, 64)) -> None:
        super().__init__(size, 1, 1, 2)
        self.poses = pose, source_pose

    def open_store(self, split: str) -> Store:
        return Pairs(*self.poses)


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("deformable_gan", {}),
        ("deformable_gan_deepfashion", {"nn_area": 5}),
        ("deformable_gan_baseline", {"warp_skip": "none", "content": "l1"}),
        ("deformable_gan_dsc", {"warp_skip": "mask", "content": "l1"}),
        ("deformable_gan_percloss", {"warp_skip": "mask", "content": "perceptual"}),
    ],
)
def test_paper_configs_are_the_official_setting(name: str, differs: dict[str, Any]) -> None:
    """Nothing beside the row's own difference: all else is the official default."""
    class_path, init_args = model_args(name)
    init_args.pop("size")
    assert (class_path, init_args) == ("lightning_modules.deformable_gan.module.DeformableGAN", differs)
    with torch.device("meta"):
        model = DeformableGAN(**differs)
    for optimizer in model.configure_optimizers():
        assert isinstance(optimizer, TFAdam)
        assert optimizer.defaults["lr"] == 2e-4 and optimizer.defaults["betas"] == (0.5, 0.999)
    weight = {"l1": 100.0, "perceptual": 0.5, "nearest": 0.01}[differs.get("content", "nearest")]
    assert model.content.weight == weight and list(model.streams) == [
        "clips",
        "discriminator_real",
        "discriminator_fake",
    ]


def test_losses_are_of_the_right_pictures() -> None:
    model, batch = tiny(content="l1").eval(), clips(frames=1)
    wanted, target = wanted_of(batch), batch["video"][:, :, 0]
    drawn = model.draw(wanted)
    own, asked = model.maps(wanted.source_pose), model.maps(wanted.pose)
    torch.testing.assert_close(
        drawn, model.generator(wanted.source, own, asked, regions(wanted.source_pose, wanted.pose, 128, 64))
    )
    logits = model.discriminator(wanted.source, own, drawn, asked)
    found = model.generator_losses(wanted, drawn, target)
    torch.testing.assert_close(found["adversarial"], generator_loss(logits))
    torch.testing.assert_close(found["content"], 100 * (drawn - target).abs().mean())
    of_critic = discriminator_loss(model.discriminator(wanted.source, own, target, asked), logits)
    torch.testing.assert_close(discriminator_loss(model.judge(wanted, target), model.judge(wanted, drawn)), of_critic)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_step_trains_each_player_on_its_own_batch(fresh: bool, trainer: Callable[..., Any], monkeypatch: Any) -> None:
    model = tiny(content="l1", fresh_batch=fresh)
    pose = scattered(2, 3)
    before = [p.detach().clone() for p in model.parameters()]
    seen: list[Tensor] = []

    def frames(video: Tensor) -> Tensor:
        seen.append(video)
        return frames_of(video)

    monkeypatch.setattr("lightning_modules.deformable_gan.module.frames_of", frames)
    trainer(1).fit(model, PairClips(pose, scattered(2, 4)))
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True) if b.numel() > 1)
    assert len(seen) == 2 and (seen[0] is seen[1]) == (not fresh)


def test_regions_follow_the_option() -> None:
    given, wanted = scattered(2, 1), scattered(2, 2)
    code, paper = (regions(given, wanted, 128, 64, geometry) for geometry in ("code", "paper"))
    full = whole_body(given, wanted, 128, 64)
    for options, expected in (({}, code), ({"geometry": "paper"}, paper), ({"warp_skip": "full"}, full)):
        found = tiny(**options).regions(given, wanted)
        assert found is not None and torch.equal(found.maps, expected.maps) and torch.equal(found.masks, expected.masks)
    assert tiny(warp_skip="none").regions(given, wanted) is None
    more = tiny(undeformed=True).regions(given, wanted)
    assert more is not None and torch.equal(more.maps[:, 0], torch.tensor(SAME).expand(2, -1))
    assert (tiny().generator.masks_of, tiny(geometry="paper").generator.masks_of) == ("target", "source")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"geometry": "paper", "undeformed": True},
        {"warp_agg": "avg"},
        {"warp_sampling": "bilinear"},
        {"warp_skip": "stn"},
        {"warp_skip": "full"},
        {"warp_skip": "none"},
    ],
)
def test_every_option_draws_and_teaches(options: dict[str, Any]) -> None:
    model, batch = tiny(**options), clips(frames=1)
    sum(
        model.generator_losses(wanted_of(batch), model.draw(wanted_of(batch)), batch["video"][:, :, 0]).values()
    ).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.generator.parameters())


@pytest.mark.parametrize(
    "options", [{"warp_agg": "avg"}, {"warp_sampling": "bilinear"}, {"geometry": "paper"}, {"undeformed": True}]
)
def test_options_of_the_deformation_change_what_is_drawn(options: dict[str, Any]) -> None:
    wanted = wanted_of(clips(frames=1))
    plain, other = tiny().eval(), tiny(**options).eval()
    other.load_state_dict(plain.state_dict())
    with torch.no_grad():
        assert not torch.allclose(plain.draw(wanted), other.draw(wanted), atol=1e-4)


def test_options_of_the_content_reach_it() -> None:
    content = tiny(
        content="nearest",
        content_weight=7.0,
        features="vgg19",
        nn_area=5,
        nn_reduction="sum",
        vgg_means="imagenet",
        vgg_units="deviations",
    ).content
    assert (content.kind, content.weight, content.needs_vgg) == ("nearest", 7.0, True)
    assert (content.area, content.reduction) == (5, "sum")
    assert (content.means, content.units) == ("imagenet", "deviations")


def test_half_of_three_maps_is_dropped_in_training() -> None:
    model, wanted = tiny(ngf=8), wanted_of(clips(frames=1))
    zeros: list[float] = []
    for up, width in zip(list(model.generator.decoder)[1:], channels((128, 64), 8)[1][:-1], strict=True):

        def look(_: Any, given: tuple[Tensor], width: int = width) -> None:
            zeros.append(float((given[0][:, :width] == 0).float().mean()))  # skips follow behind

        up.register_forward_pre_hook(look)
    model.draw(wanted)
    assert zeros == pytest.approx([0.5] * 3 + [0.0], abs=0.05)


def test_heat_maps_of_code_and_paper() -> None:
    pose = torch.zeros(1, 18, 3)
    pose[0, 0] = torch.tensor([20.0, 30, 1])
    code, paper = tiny(sigma=6.0).maps(pose), tiny(heat_maps="paper", sigma=6.0).maps(pose)
    assert code.shape == paper.shape == (1, 18, 128, 64)
    for maps, at_ten in ((code, np.exp(-100 / 72)), (paper, np.exp(-10 / 36))):
        assert maps[0, 0, 30, 20] == 1 and (maps[0, 1:] == 0).all()
        assert maps[0, 0, 36, 28] == pytest.approx(at_ten, rel=1e-5)  # 10 pixels away


def test_clips_are_drawn_pose_by_pose() -> None:
    model, batch = tiny().eval(), clips()
    drawn = model.sample(batch, noise())
    assert drawn.shape == (2, 3, FRAMES, 128, 64)
    for frame in range(FRAMES):
        alone = model.sample({**batch, "pose": batch["pose"][:, :, frame : frame + 1]}, noise())
        torch.testing.assert_close(drawn[:, :, frame : frame + 1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.sample(batch, noise(seed=1)), drawn)


def test_dropout_in_sampling_is_keyed_by_the_clip() -> None:
    model, batch = tiny(test_dropout=True).eval(), clips()
    batch["pose"] = batch["pose"][:, :, :1].expand(-1, -1, FRAMES, -1, -1)  # one pose: frames differ by noise alone
    drawn = model.sample(batch, noise())
    assert drawn.shape == (2, 3, FRAMES, 128, 64) and torch.equal(drawn, model.sample(batch, noise()))
    assert not torch.allclose(drawn, model.sample(batch, noise(seed=1)))
    assert not torch.allclose(drawn[:, :, 0], drawn[:, :, 1])
    last: Any = {key: value[1:] for key, value in dict[str, Any](batch).items()}
    alone = model.sample(last, ClipNoise(0, torch.tensor([1])))
    torch.testing.assert_close(alone, drawn[1:], rtol=0, atol=1e-5)
    model.images_at_once = 2  # type: ignore[misc]
    torch.testing.assert_close(model.sample(batch, noise()), drawn, rtol=0, atol=1e-5)


@pytest.mark.parametrize("key", ["pose", "source_pose"])
@pytest.mark.parametrize("what", ["torso", "all"])
def test_poses_that_cannot_be_measured(key: str, what: str, trainer: Callable[..., Any]) -> None:
    lacking = person(left_hip=None) if what == "torso" else torch.zeros(18, 3)
    batch: Any = clips()
    batch[key][1, 0, ...] = lacking
    message = rf"{key}: shoulders or hips are missing in 1 clips \(clip1\).*warp_skip to none or stn"
    for warp_skip in ("mask", "full"):
        with pytest.raises(BenchError, match=message):
            tiny(warp_skip=warp_skip).sample(batch, noise())
    assert tiny(warp_skip="none").eval().sample(batch, noise()).isfinite().all()
    poses = {"pose": scattered(2, 1), "source_pose": scattered(2, 2)}
    poses[key][0] = lacking
    with pytest.raises(
        BenchError, match=rf"{key}: shoulders or hips are missing in 1 training videos of pairs \(one\)"
    ):
        trainer(1).fit(tiny(content="l1"), PairClips(poses["pose"], poses["source_pose"]))


def test_data_that_do_not_fit() -> None:
    data = PairClips(scattered(2, 1), scattered(2, 2))
    tiny().check_data(data)
    data.skeleton = BODY_25.name
    with pytest.raises(BenchError, match="reads the 18 joints of coco_18, but the poses of pairs are of body_25"):
        tiny().check_data(data)
    with pytest.raises(BenchError, match=r"model.init_args.size is 256, but the clips of pairs have height 128"):
        tiny(size=256).check_data(PairClips(scattered(2, 1), scattered(2, 2)))
    small: Any = clips()
    small["source"] = small["source"][..., :32]
    with pytest.raises(BenchError, match="source: pictures of 128 x 32 pixels, expected 128 x 64"):
        tiny().sample(small, noise())
    other: Any = clips()
    other["pose"] = torch.ones(2, 1, FRAMES, 25, 3)
    with pytest.raises(BenchError, match="25 joints found, expected the 18 of coco_18"):
        tiny().sample(other, noise())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (128, 60)}, "size is 128 x 60; 6 levels need multiples of 32"),
        ({"size": (64, 32)}, "64 x 32; the discriminator's five halvings need 34"),
        ({"encoder": [4, 4, 4, 4], "decoder": [4, 4, 4]}, "encoder has 4 levels and decoder 3 steps"),
        ({"decoder": [4, 4, 4]}, "encoder has 6 levels and decoder 3 steps"),
        ({"sigma": 0.0}, "sigma must be above 0, found 0.0"),
    ],
)
def test_arguments_that_make_no_network(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        tiny(**options)


def test_the_smallest_side_is_the_discriminator_s() -> None:
    network = DeformableGAN(**TINY).discriminator.to("meta")
    for side, fits in ((SMALLEST, nullcontext()), (SMALLEST - 1, pytest.raises(RuntimeError, match="Kernel size"))):
        picture, maps = (torch.empty(1, c, side, side, device="meta") for c in (3, 18))
        with fits:
            assert network(picture, maps, picture, maps).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("options", [{}, {"warp_skip": "full"}, {"geometry": "paper", "undeformed": True}])
def test_a_step_never_asks_for_a_value(options: dict[str, Any]) -> None:
    """Tensors on the meta device have none: asking, as a GPU would have to be waited for, is an error there."""
    model = tiny(**options).to("meta")
    batch: Any = {k: v.to("meta") if isinstance(v, Tensor) else v for k, v in clips(frames=1).items()}
    wanted, target = wanted_of(batch), batch["video"][:, :, 0]
    drawn = model.draw(wanted)
    losses = [*model.generator_losses(wanted, drawn, target).values()]
    losses.append(discriminator_loss(model.judge(wanted, target), model.judge(wanted, drawn)))
    torch.stack(losses).sum().backward()
    assert drawn.shape == target.shape and drawn.is_meta


@pytest.mark.parametrize("fresh", [True, False])
def test_losses_of_a_step(fresh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which batch each half of the discriminator's loss and the generator's loss are of."""
    model = tiny(content="l1", fresh_batch=fresh).eval()  # without dropout
    mine, real, fake = (clips(frames=1) for _ in range(3))
    for shade, batch in enumerate((mine, real, fake)):
        batch["video"] = batch["video"] * 0.1 + 0.3 * shade
        batch["source"] = batch["source"] * 0.1 - 0.3 * shade
    if not fresh:
        real = fake = mine
    turns: dict[str, list[Tensor]] = {}

    @contextmanager
    def turn(name: str) -> Iterator[list[Tensor]]:
        yield turns.setdefault(name, [])

    monkeypatch.setattr(model.players, "turn", turn)
    monkeypatch.setattr(model, "log_dict", lambda losses: None)
    step = {"clips": mine, "discriminator_real": real, "discriminator_fake": fake} if fresh else mine
    model.training_step(step, 0)
    of_real = model.judge(wanted_of(real), frames_of(real["video"]))
    of_fake = model.judge(wanted_of(fake), model.draw(wanted_of(fake)))
    assert list(turns) == ["discriminator", "generator"]
    torch.testing.assert_close(turns["discriminator"], [discriminator_loss(of_real, of_fake)])
    drawn = model.draw(wanted_of(mine))
    expected = model.generator_losses(wanted_of(mine), drawn, frames_of(mine["video"]))
    torch.testing.assert_close(turns["generator"], [expected["adversarial"], expected["content"]])
