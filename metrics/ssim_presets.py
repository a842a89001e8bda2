"""Settings of structural similarity by the code that used them: the same frames score 0.03 or 0.86 by these alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from metrics.ssim import WANG, SsimSettings

Preset = Literal["wang", "srvp", "savp", "svg", "openstl", "pg2", "deformable_gan", "deformable_gan_2018"]

# skimage told nothing: 7x7 uniform window, sample covariance.
_SKIMAGE = SsimSettings(window="uniform", taps=7, covariance="sample")
# skimage took the range of floats from their type, -1..1, although the frames lie in [0, 1]: 2 there is 510 here.
_SKIMAGE_FLOAT = replace(_SKIMAGE, data_range=510.0)
_GENERATED = replace(WANG, data_range="generated")

PRESETS: Mapping[Preset, SsimSettings] = {
    # Wang et al. 2004, code of the authors.
    "wang": WANG,
    # SRVP (Franceschi et al. 2020), the Gaussian form that SVG's repository holds too but does not call; SAVP (Lee et
    # al. 2018), `tf.image.ssim`. Both on [0, 1] with range 1.
    "srvp": WANG,
    "savp": WANG,
    # SVG (Denton and Fergus 2018), `eval_seq`; OpenSTL, also on float frames and without a range.
    "svg": _SKIMAGE_FLOAT,
    "openstl": _SKIMAGE_FLOAT,
    # PG2 (Ma et al. 2017): uint8 frames, whose type gives the range 255.
    "pg2": _SKIMAGE,
    # Deformable GAN (Siarohin et al. 2018), `test.py`. Up to release 0.15 skimage cut the Gaussian at 4 sigma, 13 taps,
    # and still left out 5 pixels: that is what the published numbers were made with. Today the call has 11 taps.
    "deformable_gan": _GENERATED,
    "deformable_gan_2018": replace(_GENERATED, taps=13),
}
