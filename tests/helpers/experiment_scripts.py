"""What tests of the experiments share: a script as a module, and sweeps that have chosen."""

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from taskgan.core.files import write_yaml

FOLDER = Path(__file__).parents[2] / "experiments"


@contextmanager
def loaded(name: str) -> Iterator[ModuleType]:
    """An experiment's script, with what lies beside it."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(FOLDER))
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        del sys.modules[name]


def with_choices(work: Path, chosen: Mapping[str, Mapping[str, float]]) -> Path:
    """A folder in which sweeps chose values by the sweep's name."""
    for place, values in chosen.items():
        write_yaml(work / place / "sweep.yaml", {"status": "complete", "chosen": {"values": dict(values)}})
    return work
