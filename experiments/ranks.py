from lightning.fabric.utilities.rank_zero import _get_rank


def is_rank_zero() -> bool:
    """Whether this process speaks for the run; from the launcher's variables, so known before a trainer is built."""
    return not _get_rank()
