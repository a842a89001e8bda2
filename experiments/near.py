import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """`, did you mean 'x'?`, or what there is where no name is near."""
    names = list(names)
    hit = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    return f", did you mean '{hit[0]}'?" if hit else f"; there are {', '.join(names) or 'none'}"
