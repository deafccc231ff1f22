"""Where a run happens: Lightning Fabric for devices and precision, and torch's global switches."""

import hashlib
import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskgan.core.errors import UserError
from taskgan.core.files import processor_name
from taskgan.core.parse import quoted
from taskgan.recipe import Machine

_filling: Any = torch.utils.deterministic  # its switch is made at run time, so type checkers do not see it
_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class MachineChoice:
    """The machine settings that a run goes with, none of them ``auto`` any more. ``precision``: ``32``, ``bf16`` or
    ``16``.
    """

    precision: str
    channels_last: bool
    compile: bool

    @classmethod
    def of(cls, values: Any, run: Path) -> "MachineChoice":
        """What ``dump`` gave, from a run's record or checkpoint.

        Raises:
            UserError: If it is something else.
        """
        if not isinstance(values, dict) or set(values) != {"precision", "channels_last", "compile"}:
            raise UserError(
                f"{run} was trained with machine settings {quoted(values)}, expected precision, channels_last and "
                "compile; start anew with --overwrite"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def start_fabric(machine: Machine, precision: str, *, alone: bool = False) -> Any:
    """A Lightning Fabric for these settings, not launched yet.

    Args:
        precision: ``32``, ``bf16`` or ``16``.
        alone: One device whatever the settings say (for measurements).

    Raises:
        UserError: If this machine does not have what is asked for.
    """
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what run.yaml records
    devices, nodes = (1, 1) if alone else (machine.devices, machine.nodes)
    try:
        return Fabric(
            accelerator=machine.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if devices * nodes > 1 else "auto",
            precision=_PRECISION[precision],
        )
    except Exception as error:  # Fabric has no common base for "not on this machine"
        raise UserError(
            f"machine.accelerator={machine.accelerator}, devices={devices}, precision={precision} is not to be had "
            f"here: {error}"
        ) from None


def device_of(machine: Machine) -> torch.device:
    """The kind of device that ``accelerator`` means here.

    Raises:
        UserError: If this machine has none, or it is a CPU that is asked for float16.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = machine.accelerator
    if kind == "auto":
        kind = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[kind]:
        raise UserError(f"machine.accelerator is {kind}, which this machine does not have")
    if kind == "cpu" and machine.precision == "16":
        raise UserError("machine.precision is 16, which needs a GPU; expected 32, bf16 or auto on a CPU")
    return torch.device(kind)


_WATCH_S = 0.5


@contextmanager
def after_first_process() -> Iterator[None]:
    """For the block, this process ends with the first one, which started it, whatever that one ended of.

    Signals are that one's: Fabric kills it where another process ends before it with a code that is not 0, and a
    process that waits for it in a collective would report a broken connection as an error of its own.
    """
    parent, ended = os.getppid(), threading.Event()

    def _watch() -> None:
        while not ended.wait(_WATCH_S):
            if os.getppid() != parent:
                os._exit(0)

    threading.Thread(target=_watch, daemon=True, name="first-process").start()
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # they were held when this process was started
    try:
        yield
    except Exception:
        time.sleep(40 * _WATCH_S)  # the first one is ending perhaps, and this is what that looks like
        raise
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def torch_switches(machine: Machine, device: torch.device) -> Iterator[None]:
    """torch's global switches for a run; they are set back afterwards.

    On the CPU: deterministic algorithms, so that the same recipe gives the same bits. On a GPU: the fastest
    convolution for the run's one image size. Everywhere: subnormal numbers count as zero (they can slow a CPU
    down many-fold), which stays so afterwards because torch cannot be asked how it was before.
    """
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        _filling.fill_uninitialized_memory,
    )
    torch.set_flush_denormal(True)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.backends.cudnn.benchmark = device.type == "cuda"
    _filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = before[2]
        _filling.fill_uninitialized_memory = before[3]


def device_name(device: torch.device) -> str:
    """E.g. ``cuda: NVIDIA H100`` or ``cpu: Intel(R) Xeon(R) CPU @ 2.20GHz, 2 threads``."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return f"{device.type}: {platform.processor() or platform.machine()}"
    threads = torch.get_num_threads()
    return f"cpu: {processor_name()}, {threads} thread{'s' * (threads > 1)}"


def over_all_devices(features: Sequence[Tensor], fabric: Any) -> list[Tensor]:
    """Batch means over all devices, for Eq. 2 (the features themselves where there is one device).

    Args:
        features: (B, C, h, w) a layer, this device's part of the batch.

    Returns:
        (1, C, h, w) a layer. The value is the mean over the whole batch; the gradient is that of this device's
        mean alone, so that the *average* of the devices' gradients is the gradient of the whole batch.
    """
    if fabric.world_size == 1:
        return list(features)
    means = [f.mean(dim=0, keepdim=True) for f in features]
    flat = torch.cat([m.detach().flatten() for m in means])
    whole = fabric.all_reduce(flat, reduce_op="mean")
    parts = torch.split(whole, [m.numel() for m in means])
    return [m + (p.view_as(m) - m.detach()) for m, p in zip(means, parts, strict=True)]


def of_all_devices(images: Tensor, fabric: Any, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the images of all devices as one batch, and take this device's part of what comes out.

    Args:
        images: (B, C, H, W), this device's part, without a graph.
        change: From the whole batch, in the devices' order, to as many images.
    """
    if fabric.world_size == 1:
        return change(images)
    start = fabric.global_rank * len(images)
    return change(fabric.all_gather(images).flatten(0, 1))[start : start + len(images)]


def average_statistics(network: nn.Module, fabric: Any) -> None:
    """Replace what the norms of a network have counted by the mean over the devices, which saw different images."""
    _average([buffer for buffer in network.buffers() if buffer.is_floating_point()], fabric)


def average_gradients(weights: Mapping[str, Sequence[nn.Parameter]], fabric: Any) -> None:
    """Replace every gradient by its mean over the devices."""
    _average([p.grad for group in weights.values() for p in group if p.grad is not None], fabric)


@torch.no_grad()
def _average(tensors: Sequence[Tensor], fabric: Any) -> None:
    if fabric.world_size == 1 or not tensors:
        return
    whole = fabric.all_reduce(torch.cat([t.flatten() for t in tensors]), reduce_op="mean")
    for tensor, part in zip(tensors, torch.split(whole, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def derive_seed(seed: int, *path: str | int) -> int:
    """An independent seed (63 bits) for one purpose, e.g. ``derive(0, "z", step)``."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
