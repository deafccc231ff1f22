"""``taskgan models`` and ``taskgan export``: models at hand, and models for others."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Index, Overwrite

group = typer.Typer(
    help="Models that come with the package or lie in an index: list (without a sub-command), verify, exchange.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Model = Annotated[str, typer.Argument(help="Model folder, run folder, or the name of a listed model.")]
Licence = Annotated[str, typer.Option(help="Of the model, for its card: SPDX identifier in lower case.")]


@group.callback()
def list_models(context: typer.Context, index: Index = None) -> None:
    """Models at hand: those that come with the package, and those of an index of your own."""
    if context.invoked_subcommand is None:
        from taskgan.core.console import say
        from taskgan.release.hub import list_models as run

        say(run(index))


@group.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; none is all.")] = None, index: Index = None
) -> None:
    """Hold weights against the SHA-256 of their cards; changes nothing."""
    from taskgan.release.hub import verify_models as run

    run(names or (), index)


@group.command("locate")
def locate(name: Annotated[str, typer.Argument(help="Of a model or a family.")], index: Index = None) -> None:
    """Print the folder of a model, or the folders of a family."""
    from taskgan.core.console import say
    from taskgan.model.shelf import models_called

    say("\n".join(str(one.folder) for one in models_called(name, index)))


@group.command("export")
def export_model(
    model: Model,
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    name: Annotated[str, typer.Option(help="What it is called: NAME or FAMILY/VARIANT.")] = "",
    licence: Licence = "other",
    evaluations: Annotated[
        list[Path] | None,
        typer.Option("--evaluation", help="Evaluation of its test subjects, or of a rival on them; repeatable."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a folder in the layout of model hubs: weights, card, and a README with a YAML header."""
    from taskgan.release.hub import export_model as run

    run(model, out, name=name, licence=licence, evaluations=evaluations or (), overwrite=overwrite)


@group.command("import")
def import_model(
    source: Annotated[Path, typer.Argument(help="Folder in the layout of model hubs, or a model folder.")],
    name: Annotated[str, typer.Option(help="NAME or FAMILY/VARIANT; default: that of the card.")] = "",
    index: Index = None,
    overwrite: Overwrite = False,
) -> None:
    """Take a model into an index, if its checksums hold."""
    from taskgan.release.hub import import_model as run

    run(source, name=name, index=index, overwrite=overwrite)


def export(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")],
    to: Annotated[str, typer.Option(help="onnx, openvino or torch-export.")] = "onnx",
    licence: Licence = "other",
    overwrite: Overwrite = False,
) -> None:
    """Write a model as a graph that runs without PyTorch, with what goes before and after it in its card."""
    from taskgan.release.export import export as run

    run(model, out, to=to, licence=licence, overwrite=overwrite)
