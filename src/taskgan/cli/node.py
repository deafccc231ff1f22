"""``taskgan node``: a PACS node that restores."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    help="Receive DICOM series, restore them, send them on.", no_args_is_help=True, rich_markup_mode=None
)
SettingsFile = Annotated[Path, typer.Argument(metavar="SETTINGS", help="YAML: peers, routes and the rest.")]


@group.command("serve")
def node_serve(
    settings: SettingsFile,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--take", help="Listen to nobody: take the series of this folder and end; repeatable."),
    ] = None,
) -> None:
    """Listen until it is ended; called again, it goes on with what its queue holds."""
    from taskgan.node.work import serve

    serve(settings, folders=folders or None)


@group.command("status")
def node_status(settings: SettingsFile) -> None:
    """How many series are in which state, and what is wrong with those that wait."""
    from taskgan.core.console import say
    from taskgan.core.lock import holder
    from taskgan.node.queue import Queue
    from taskgan.node.settings import read_settings
    from taskgan.node.status import status_lines

    node = read_settings(settings)
    folder = node.path(node.queue)
    for line in status_lines(node, Queue(folder, node.free_gb), holder(folder)):
        say(line)
