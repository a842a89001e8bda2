"""Regions of the body in two poses: where they are, and the affine maps from the wanted pose to the given one.

Masks lie in the frame of the wanted pose (`code`) or of the given one (`paper`); maps always lead from a pixel of the
result to the pixel that it is taken from, as sampling needs them.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lightning_modules.deformable_gan.fitting import fit_affine
from lightning_modules.deformable_gan.joints import (
    HEAD,
    KNEES,
    LIMBS,
    OUTER,
    REGIONS,
    SHOULDERS,
    TORSO,
    TWIN,
    constant,
    pick,
)
from lightning_modules.deformable_gan.raster import fill_boxes, fill_quads

Geometry = Literal["code", "paper"]
NOWHERE = (1.0, 0.0, 1000.0, 0.0, 1.0, 1000.0)  # leads outside every image
SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# The official code's measures, in shares of the torso's side but for the first two, shares of the limb.
BACK, AHEAD, AHEAD_OUTER_MASK, AHEAD_OUTER_MAP = 0.1, 0.1, 0.5, 0.3
HALF_WIDTH, HALF_HEAD = 0.2, 0.4


class Regions(NamedTuple):
    """What a generator needs to know of two poses.

    Attributes:
        maps: N R 6 float32, (x, y) of the result -> (a0 x + a1 y + a2, b0 x + b1 y + b2) of the given image.
        masks: bool N R H W.
    """

    maps: Tensor
    masks: Tensor


class _Person(NamedTuple):
    """A pose in float64: xy N 18 2; there N 18."""

    xy: Tensor
    there: Tensor

    @classmethod
    def of(cls, pose: Tensor) -> "_Person":
        return cls(pose[..., :2].double(), pose[..., 2] > 0)

    def all(self, *joints: int) -> Tensor:
        """Bool N."""
        return pick(self.there, joints).all(-1)

    def ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the limbs: where they begin and end, N L 2, and whether both joints are there, bool N L."""
        start, end = ([pair[i] for pair in LIMBS] for i in (0, 1))
        return pick(self.xy, start), pick(self.xy, end), pick(self.there, start) & pick(self.there, end)


def has_torso(pose: Tensor) -> Tensor:
    """Bool ..., whether the four joints are there from which every region is measured.

    Args:
        pose: ... 18 3.
    """
    return (pose[..., list(TORSO), 2] > 0).all(-1)


def regions(given: Tensor, wanted: Tensor, height: int, width: int, geometry: Geometry = "code") -> Regions:
    """Torso, head and eight limbs: right and left thigh, calf, upper arm and forearm (section 3.1 of the paper).

    Without a torso in either pose nothing can be measured: all maps lead nowhere and only the mask that has no
    measure, the whole image of the `code` geometry, stays.

    Args:
        given, wanted: N 18 3 of COCO_18, x and y in pixels of the image, confidence 0 where a joint is missing.
        height, width: of the image.
        geometry: `code`, as released: masks of the wanted pose, the torso's mask is the whole image, a limb missing
            in the given pose is taken from its twin; or `paper`: masks of the given pose, upright rectangles around
            torso and head, limbs a third of the torso's diagonal wide, and no region with a joint missing.
    """
    made = (_code if geometry == "code" else _paper)(_Person.of(given), _Person.of(wanted), height, width)
    return Regions(made.maps.float(), made.masks)


def whole_body(given: Tensor, wanted: Tensor, height: int, width: int) -> Regions:
    """One map for all (`warp_skip: full`), fitted to shoulders, hips and the knees that both poses have; no mask."""
    a, b = _Person.of(given), _Person.of(wanted)
    joints = [*TORSO, *KNEES]
    used = pick(a.there, joints) & pick(b.there, joints)
    map_, fits = fit_affine(pick(b.xy, joints), pick(a.xy, joints), used)
    maps = _or_nowhere(map_, fits & a.all(*TORSO) & b.all(*TORSO))[:, None]
    return Regions(maps.float(), torch.ones(len(given), 1, height, width, dtype=torch.bool, device=given.device))


def with_undeformed(regions: Regions) -> Regions:
    """One region more, in front: the image as it is, the paper's F'_0 for the background."""
    n, _, height, width = regions.masks.shape
    same = constant(SAME, regions.maps.device, regions.maps.dtype).expand(n, 1, -1)
    everywhere = regions.masks.new_ones(n, 1, height, width)
    return Regions(torch.cat([same, regions.maps], 1), torch.cat([everywhere, regions.masks], 1))


def torso_side(person: _Person) -> Tensor:
    """N 1, root of the mean square of both sides from hip to shoulder."""
    right_hip, left_hip, left_shoulder, right_shoulder = (person.xy[:, joint] for joint in TORSO)
    squares = (right_hip - right_shoulder).square().sum(-1) + (left_hip - left_shoulder).square().sum(-1)
    return (squares / 2).sqrt()[:, None]


def limb_quads(start: Tensor, end: Tensor, half: Tensor, back: float, ahead: Tensor) -> Tensor:
    """Rectangles along limbs.

    Args:
        start, end: N L 2.
        half: N 1, half their width.
        back, ahead: how far they reach beyond start and end; `ahead` is L, in shares of the limb lengthened backwards.

    Returns:
        N L 4 2. A limb of no length becomes a diagonal of three pixels, as in the official code.
    """
    start = start + back * (start - end)
    end = end + ahead[:, None] * (end - start)
    way = start - end
    length = way.square().sum(-1, keepdim=True).sqrt()
    aside = torch.stack([-way[..., 1], way[..., 0]], -1) / length * half[..., None]
    aside = torch.where(length > 0, aside, 1.0)
    return torch.stack([start + aside, start - aside, end - aside, end + aside], -2)


def _or_nowhere(maps: Tensor, there: Tensor) -> Tensor:
    return torch.where(there[..., None], maps, constant(NOWHERE, maps.device, maps.dtype))


def _code(given: _Person, wanted: _Person, height: int, width: int) -> Regions:
    whole = given.all(*TORSO) & wanted.all(*TORSO)  # N
    given_side, wanted_side = torso_side(given), torso_side(wanted)  # N 1
    whole &= (given_side[:, 0] > 0) & (wanted_side[:, 0] > 0)
    start, end, there = wanted.ends()
    own_start, own_end, own_there = given.ends()
    shown = there & whole[:, None]
    ahead_mask, ahead_map = _ahead(AHEAD_OUTER_MASK, start.device), _ahead(AHEAD_OUTER_MAP, start.device)

    masks = torch.empty(REGIONS, len(start), height, width, dtype=torch.bool, device=start.device)
    masks[0] = True
    seen = pick(wanted.there, HEAD)[..., None]
    centre = ((pick(wanted.xy, HEAD) * seen).sum(1) / seen.sum(1).clamp_min(1)).trunc()  # N 2
    reach = (HALF_HEAD * wanted_side).trunc()
    fill_boxes(centre - reach, centre + reach, seen.any(1)[:, 0] & whole, masks[1])
    half = HALF_WIDTH * wanted_side
    fill_quads(limb_quads(start, end, half, BACK, ahead_mask).transpose(0, 1), shown.T, masks[2:])

    own_start, own_end = (torch.where(own_there[..., None], x, pick(x, TWIN)) for x in (own_start, own_end))
    found = shown & (own_there | pick(own_there, TWIN))
    targets = _points(wanted, limb_quads(start, end, half, BACK, ahead_map))
    sources = _points(given, limb_quads(own_start, own_end, HALF_WIDTH * given_side, BACK, ahead_map))
    common = pick(given.there, HEAD + SHOULDERS) & pick(wanted.there, HEAD + SHOULDERS)
    used = torch.zeros(targets.shape[:-1], dtype=torch.bool, device=start.device)  # N 10 7
    used[:, :, :4] = True
    used[:, 1] = common
    maps, fits = fit_affine(targets, sources, used)
    fits[:, 1] &= common[:, : len(HEAD)].any(-1)
    fits[:, 2:] &= found
    return Regions(_or_nowhere(maps, fits & whole[:, None]), masks.transpose(0, 1))


def _ahead(outer: float, device: torch.device) -> Tensor:
    """Of each limb, how far its rectangle reaches beyond its end."""
    return constant(tuple(outer if is_outer else AHEAD for is_outer in OUTER), device, torch.float64)


def _points(person: _Person, quads: Tensor) -> Tensor:
    """What maps are fitted to, N 10 7 2: the torso's corners, joints of the head with both shoulders, limbs' corners.

    Where a region has four points the others are anything.
    """
    torso, head = pick(person.xy, TORSO + TORSO[:3]), pick(person.xy, HEAD + SHOULDERS)
    return torch.cat([torch.stack([torso, head], 1), torch.cat([quads, quads[:, :, :3]], 2)], 1)


def _box(person: _Person, joints: tuple[int, ...]) -> Tensor:
    """Corners N 4 2 of the upright rectangle around the joints that are there."""
    there, xy = pick(person.there, joints)[..., None], pick(person.xy, joints)
    low = torch.where(there, xy, torch.inf).amin(1)
    high = torch.where(there, xy, -torch.inf).amax(1)
    (x0, y0), (x1, y1) = low.unbind(-1), high.unbind(-1)
    corners = [torch.stack(c, -1) for c in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    return torch.stack(corners, 1)


def _paper_quads(person: _Person) -> tuple[Tensor, Tensor]:
    """N 10 4 2, and which of them are there."""
    right_hip, left_hip, left_shoulder, right_shoulder = (person.xy[:, joint] for joint in TORSO)
    diagonals = [right_hip - left_shoulder, left_hip - right_shoulder]
    width = sum(torch.linalg.vector_norm(d, dim=-1) for d in diagonals) / 2 / 3  # N
    start, end, there = person.ends()
    limbs = limb_quads(start, end, width[:, None] / 2, 0.0, width.new_zeros(len(LIMBS)))
    whole = person.all(*TORSO)
    head = pick(person.there, HEAD).any(-1)
    quads = torch.cat([_box(person, TORSO)[:, None], _box(person, HEAD)[:, None], limbs], 1)
    return quads, torch.cat([whole[:, None], head[:, None], there], 1) & whole[:, None]


def _paper(given: _Person, wanted: _Person, height: int, width: int) -> Regions:
    (source, source_there), (target, target_there) = _paper_quads(given), _paper_quads(wanted)
    there = source_there & target_there
    maps, fits = fit_affine(target, source, there[..., None].expand(-1, -1, 4))
    there = there & fits
    masks = torch.empty(*there.T.shape, height, width, dtype=torch.bool, device=there.device)
    fill_quads(source.transpose(0, 1), there.T, masks)
    return Regions(_or_nowhere(maps, there), masks.transpose(0, 1))
