"""The fault-injecting layer: this process counts its file operations, and ends at the n-th one as if power failed."""

import builtins
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_AROUND = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "open", "link", "symlink", "chmod")


class Faults:
    """Counts operations below a folder: before and after each call of the system, and in the middle of a write.

    Args:
        folder: Only what happens to files below it counts.
        at: End hard at this operation, from 1; 0 counts alone.
        report: The count is written there after every operation.
    """

    def __init__(self, folder: Path, at: int = 0, report: Path | None = None) -> None:
        self.folder, self.at = str(folder.resolve()), at
        self.count = 0
        self._handle = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if report else -1

    def step(self) -> None:
        """One operation more."""
        self.count += 1
        if self._handle >= 0:
            os.pwrite(self._handle, f"{self.count:012d}".encode(), 0)
        if self.count == self.at:
            os.killpg(0, signal.SIGKILL)

    def concerns(self, place: Any) -> bool:
        """Whether a path or descriptor is of a file below the folder."""
        if isinstance(place, int):
            try:
                place = os.readlink(f"/proc/self/fd/{place}")
            except OSError:
                return False
        try:
            return os.path.abspath(os.fsdecode(place)).startswith(self.folder)
        except (TypeError, ValueError):
            return False

    def install(self) -> None:
        """Put the layer between this process and the system."""
        for name in _AROUND:
            setattr(os, name, self._around(getattr(os, name)))
        opened = self._opened(io.open)
        builtins.open = opened  # type: ignore[assignment]
        io.open = opened  # type: ignore[assignment]

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(place: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.concerns(place):
                return call(place, *args, **kwargs)
            self.step()
            done = call(place, *args, **kwargs)
            self.step()
            return done

        return counted

    def _opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        faults = self

        class Counted(io.FileIO):
            """A file whose writes can end half way."""

            def write(self, data: Any, /) -> int:
                view = memoryview(data).cast("B")
                faults.step()
                if faults.count + 1 == faults.at:
                    super().write(view[: len(view) // 2])
                faults.step()
                return super().write(view)

        def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
            writes = set(mode) & set("wax+")
            special = isinstance(file, int) or buffering == 0 or "opener" in kwargs
            if not writes or special or not self.concerns(file):
                return call(file, mode, buffering, *args, **kwargs)
            self.step()
            raw = Counted(file, mode.replace("b", "").replace("t", ""))
            self.step()
            size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
            binary: Any = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
            if "b" in mode:
                return binary
            text = io.TextIOWrapper(binary, *args, **kwargs)
            text.mode = mode  # type: ignore[misc]
            return text

        return opened
