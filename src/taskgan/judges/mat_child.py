"""MATLAB file to ``.npz``, run as a program: scipy's reader dies of damaged files, and must not take others with it.

It imports neither this package nor torch, so that it starts at once.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

_SPARE = 4 * 2**30  # bytes beside what is as large as the file


def convert(source: Path, target: Path) -> None:
    """Write every array of a file, and under ``tree`` the JSON that says where it belongs.

    Structs become objects, cells become lists (in the order of their memory), numbers and texts the name of their
    array; what is none of these becomes null.
    """
    from scipy.io import loadmat

    arrays: dict[str, Any] = {}

    def plain(value: Any) -> Any:
        """A value in terms of JSON."""
        if hasattr(value, "_fieldnames"):
            return {name: plain(getattr(value, name)) for name in value._fieldnames}
        array = np.asarray(value)
        if array.dtype == object:
            return [plain(one) for one in array.ravel()]
        if array.dtype.hasobject:
            return None
        arrays[name := f"array{len(arrays)}"] = array
        return name

    held = loadmat(source, struct_as_record=False)
    tree = {name: plain(value) for name, value in held.items() if not name.startswith("__")}
    np.savez(target, allow_pickle=False, tree=np.array(json.dumps(tree)), **arrays)


if __name__ == "__main__":
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_SPARE + 8 * Path(sys.argv[1]).stat().st_size,) * 2)
    except ImportError:  # Windows
        pass
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # zlib, struct, numpy and scipy each have their own
        sys.exit(f"{type(error).__name__}: {error}")
