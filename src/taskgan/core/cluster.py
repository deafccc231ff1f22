"""Subjects as tasks on the workers of a Dask scheduler: the extra ``cluster``."""

import hashlib
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from taskgan.core.console import say
from taskgan.core.errors import Failed, UserError, short_words

_TIMEOUT_S = 10
_built: dict[str, Callable[[Any], Any]] = {}  # of this process, where it is a worker
_one_at_a_time = threading.Lock()


def on_scheduler(
    address: str, build: Callable[..., Callable[[Any], Any]], setup: tuple[Any, ...], items: Sequence[Any]
) -> Iterator[Any]:
    """Results of a function as they come, in any order; what a lost worker was at is done again by another.

    Args:
        address: Of the scheduler, e.g. ``tcp://10.0.0.1:8786``.
        build: Makes the function of ``setup``, once in a worker's process; of a module, because it travels.
        setup: Paths in it must be absolute, on a file system that all workers share.
        items: A task each; a worker does one at a time.

    Raises:
        UserError: If the extra is not installed, or no scheduler answers; what a task itself raises.
        Failed: If the scheduler was lost, or an item lost several workers.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed
    except ImportError:
        raise UserError("--scheduler needs distributed, which is not here: pip install 'taskgan[cluster]'") from None
    if not items:
        return
    try:
        client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = short_words(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise UserError(f"--scheduler {address}: no Dask scheduler answers there ({reason})") from None
    with client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        say(f"{address}: {workers} worker{'s' * (workers != 1)}" + "; waiting for the first" * (workers == 0))
        name = hashlib.sha256(pickle.dumps((build, setup))).hexdigest()
        jobs = [client.submit(_run, name, build, setup, item, pure=False) for item in items]
        try:
            for job in as_completed(jobs, loop=client.loop):
                yield job.result()
        except KilledWorker as error:
            raise Failed(
                f"{error.last_worker.address} and other workers of {address} were lost over one task, probably for "
                "want of memory; what was finished is kept: call it again"
            ) from None
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and client.status == "running":
                raise  # a task's own
            raise Failed(f"{address}: the scheduler was lost; what was finished is kept: call it again") from None


def _run(name: str, build: Callable[..., Callable[[Any], Any]], setup: tuple[Any, ...], item: Any) -> Any:
    with _one_at_a_time:
        if name not in _built:
            _built.clear()  # of an earlier call: a model may be large
            _built[name] = build(*setup)
        return _built[name](item)
