"""Seeds for every random draw of a run, each a pure function of the recipe's seed and of what is drawn.

Nothing is drawn from a state that steps hand on: a run that was killed needs no random state to go on exactly,
and the objectives of one experiment draw the same initial weights, slices and z whatever else they compute.
"""

import hashlib


def derive_seed(seed: int, *path: str | int) -> int:
    """An independent seed (63 bits) for one purpose, e.g. ``derive(0, "z", step)``."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
