"""Names of the official Chainer snapshots (`chainer.serializers.save_npz`) and ours.

The layers have the same names. Arrays need no transposing: Chainer's Linear is (out, in), its convolutions (out, in,
kernel), its deconvolutions (in, out, kernel), as PyTorch's.
"""

# The snapshot's file -> our network, from the method on.
NETWORKS = {"gen": "generator.temporal", "vgen": "generator.image", "vdis": "critic"}
PARAMETERS = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "avg_mean": "running_mean",
    "avg_var": "running_var",
}


def our_key(official: str) -> str | None:
    """`dc1/W` -> `dc1.weight`; None for Chainer's counter `bn1/N`, which nothing reads.

    Raises:
        KeyError: no parameter of the official networks is called so.
    """
    layer, _, parameter = official.rpartition("/")
    return None if parameter == "N" else f"{layer.replace('/', '.')}.{PARAMETERS[parameter]}"
