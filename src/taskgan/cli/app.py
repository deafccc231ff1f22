"""The command line put together: every verb once, in the order of the work.

A verb is a file of this package named like it. It holds one function: its arguments are the verb's (those
that other verbs have too come from ``options.py``), its docstring is the help, and its body imports what it
needs, which may be heavy, and makes one call. A verb with sub-commands (``prepare.py``) holds a ``typer.Typer``
called ``group`` instead, with one such function each. To add one: write the file, name it in ``VERBS`` below, and in
``VERBS`` of ``tests/test_cli.py``.
"""

import logging
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from taskgan.cli.demo import group as demo
from taskgan.cli.info import info
from taskgan.cli.judge import audit, compare, evaluate, limit, report
from taskgan.cli.models import export
from taskgan.cli.models import group as models
from taskgan.cli.node import group as node
from taskgan.cli.prepare import group as prepare
from taskgan.cli.readers import group as readers
from taskgan.cli.restore import restore
from taskgan.cli.simulate import group as simulate
from taskgan.cli.train import sweep, train
from taskgan.core.version import __version__

VERBS: dict[str, Callable[..., None] | typer.Typer] = {
    "simulate": simulate,
    "prepare": prepare,
    "limit": limit,
    "train": train,
    "sweep": sweep,
    "restore": restore,
    "node": node,
    "evaluate": evaluate,
    "compare": compare,
    "audit": audit,
    "readers": readers,
    "report": report,
    "models": models,
    "export": export,
    "demo": demo,
    "info": info,
}


class _Workflow(TyperGroup):
    """Lists the verbs in the order of the work; typer would put those with sub-commands first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs in the order of the work."""
        return [name for name in VERBS if name in self.commands]


_EXIT_CODES = (
    "Exit codes: 0 done, or already done; 1 a threshold that was asked for is exceeded; 2 bad input; 3 begun and not "
    "all done (memory and disk too); 70 an error of taskgan itself; 130 interrupted; 143 ended by SIGTERM."
)

app = typer.Typer(
    name="taskgan",
    cls=_Workflow,
    help="Restore degraded images without changing what they mean, and show whether it worked.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _verb in VERBS.items():
    if isinstance(_verb, typer.Typer):
        app.add_typer(_verb, name=_name)
    else:
        app.command(_name)(_verb)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"taskgan {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show log messages and tracebacks.")] = False,
) -> None:
    """Restore degraded images without changing what they mean, and show whether it worked."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s")
