"""``taskgan models`` and ``taskgan export``: models at hand, and models for others."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Index, Overwrite

group = typer.Typer(
    help="Models that come with the package or lie in an index: list (without a sub-command), verify, locate.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@group.callback()
def list_models(context: typer.Context, index: Index = None) -> None:
    """Models at hand: those that come with the package, and those of an index of your own."""
    if context.invoked_subcommand is None:
        from taskgan.model.shelf import list_models as run

        run(index)


@group.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; none is all.")] = None, index: Index = None
) -> None:
    """Hold weights against the SHA-256 of their cards; changes nothing."""
    from taskgan.model.shelf import verify_models as run

    run(names or (), index)


@group.command("locate")
def locate(name: Annotated[str, typer.Argument(help="Of a model or a family.")], index: Index = None) -> None:
    """Print the folder of a model, or the folders of a family."""
    from taskgan.core.console import say
    from taskgan.model.shelf import models_called

    say("\n".join(str(one.folder) for one in models_called(name, index)))


@group.command("export")
def export_model(
    model: Annotated[str, typer.Argument(help="Model folder, run folder, or the name of a listed model.")],
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    licence: Annotated[str, typer.Option(help="For its card: SPDX identifier in lower case.")] = "other",
    overwrite: Overwrite = False,
) -> None:
    """Write a model in the layout of model hubs: weights, model.yaml, README.md; uploads nothing."""
    from taskgan.release.export import export_to_hub as run

    run(model, out, licence=licence, overwrite=overwrite)


@group.command("import")
def import_model(
    folder: Annotated[Path, typer.Argument(help="A model in the layout of hubs, downloaded.")],
    out: Annotated[Path, typer.Argument(help="Folder of an index: INDEX/NAME or INDEX/FAMILY/VARIANT.")],
    overwrite: Overwrite = False,
) -> None:
    """Take a model in the layout of hubs into an index, if its weights are those that its cards vouch for."""
    from taskgan.release.export import import_from_hub as run

    run(folder, out, overwrite=overwrite)


def export(
    model: Annotated[str, typer.Argument(help="Model folder, run folder, or the name of a listed model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")],
    to: Annotated[str, typer.Option(help="onnx, openvino or torch-export.")] = "onnx",
    licence: Annotated[str, typer.Option(help="For its card: SPDX identifier in lower case.")] = "other",
    overwrite: Overwrite = False,
) -> None:
    """Write a model as a graph that runs without PyTorch, with what goes before and after it in its card."""
    from taskgan.release.export import export as run

    run(model, out, to=to, licence=licence, overwrite=overwrite)
