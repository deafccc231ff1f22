"""Task-GAN: image restoration that keeps what the image means.

The front door for Python: ``import taskgan`` is cheap, and each name of ``__init__.pyi`` is imported when it is first
used. What ``taskgan VERB`` does on the command line, ``taskgan.verb(…)`` does here, with paths as ``str`` or
``os.PathLike``; ``docs/python.md`` is a notebook of ten lines.
"""

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from taskgan.core.version import __version__ as __version__

if TYPE_CHECKING:
    from inspect import Signature

# ONNX Runtime and OpenVINO report their use to their makers unless this stands before they are imported (of the second
# its module of reports must be missing): from beside patients' images nothing leaves, nor is a device numbered.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_STUB = Path(__file__).with_name("__init__.pyi").read_text(encoding="utf-8")
_HOME = {name: module for module, name in re.findall(r"^from taskgan\.(\S+) import (\w+) as \2$", _STUB, re.MULTILINE)}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Verb(ModuleType):
    """A package that can be called as the function that it is named after.

    ``train`` is both: the package, which Python puts into ``taskgan`` whenever a module of it is imported, and the
    function, which a notebook wants there. So the package answers to a call, and neither hides the other in any
    order of imports. (Python's reference names setting ``__class__`` for this: 3.3.2.1.)
    """

    @property
    def _function(self) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"{__package__}.{_HOME[name]}"), name)

    @property
    def __signature__(self) -> "Signature":
        from inspect import signature

        return signature(self._function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


# Each holds a docstring alone, so that nothing heavy is imported here.
for _name in ("audit", "evaluate", "limit", "restore", "sweep", "train"):
    import_module(f"{__name__}.{_name}").__class__ = _Verb
