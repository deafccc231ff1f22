"""The table of commands: how each is called on tiny inputs. A command of the line without an entry fails a test."""

from dataclasses import dataclass
from typing import Any

import typer


@dataclass(frozen=True)
class Command:
    """How a command is called, in a folder that holds copies of its inputs; it writes to ``out`` there.

    Attributes:
        arguments: Of the command line.
        inputs: Names in the folder of material.
        other: Arguments added to make another result at the same place, for ``--overwrite``; empty where the command
            has no such option.
    """

    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    other: tuple[str, ...] = ()


def _command(line: str, inputs: str = "", other: str = "") -> Command:
    return Command(tuple(line.split()), tuple(inputs.split()), tuple(other.split()))


COMMANDS = {
    "simulate pet": _command(
        "simulate pet out --anatomy head.nii --subjects 6 --positive 0.5 --seed 3 --workers 1", "head.nii"
    ),
    "simulate mr": _command(
        "simulate mr out --anatomy head.nii --subjects 9 --patients 0.67 --tumours 0.5 --workers 1", "head.nii"
    ),
    "prepare pet": _command("prepare pet scans/table.csv out", "scans", "--seed 5"),
    "prepare pairs": _command("prepare pairs scans/low scans/standard out", "scans", "--seed 5"),
    "prepare mr": _command("prepare mr export/table.csv out", "export", "--seed 5 --no-normalise"),
    "prepare lfw": _command("prepare lfw faces/lfw out --factor 2 --workers 1", "faces", "--size 20"),
    "prepare folder": _command(
        "prepare folder photos out --degrade blur:1,down:2 --by-folder --workers 1", "photos", "--seed 5 --colour"
    ),
    "train": _command("train tiny.yaml cohort out", "tiny.yaml cohort", "--set seed=1"),
    "train recogniser": _command(
        "train tiny.yaml cohort out --set objective=recogniser", "tiny.yaml cohort", "--set seed=1"
    ),
    "train from": _command("train tiny.yaml cohort out --from run", "tiny.yaml cohort run", "--set seed=1"),
    "restore": _command("restore run/model cohort -o out --split test", "run cohort", "--precision 32"),
    "restore photos": _command("restore run/model photos -o out", "run photos", "--precision 32"),
    "restore gaussian": _command("restore gaussian cohort -o out --split test --recipe tiny.yaml", "cohort tiny.yaml"),
    "restore series": _command("restore run/model study -o out --pdf", "run study", "--precision 32"),
    "node serve": _command("node serve node.yaml --take study/pet", "run study node.yaml"),
    "restore relaxometry": _command("restore relaxometry mr -o out --split test --maps", "mr", "--condition T1w"),
    "evaluate": _command("evaluate restored cohort -o out", "restored cohort", "--slices 3"),
    "compare": _command("compare evaluation evaluation-l1 -o out", "evaluation evaluation-l1", "--correction none"),
    "audit": _command("audit restored cohort -o out --figures 1", "restored cohort", "--slices 3"),
    "readers make": _command(
        "readers make out --from restored --cohort cohort --repeats 1", "restored cohort", "--seed 5"
    ),
    "readers export": _command("readers export read -o out", "read"),
    "readers analyse": _command("readers analyse read -o out", "read", "--baseline clean"),
    "sweep": _command("sweep tiny.yaml cohort out --grid loss.mu_task=0.1,1", "tiny.yaml cohort"),
    "limit": _command("limit tiny.yaml cohort -o out --model run/model", "tiny.yaml cohort run", "--slices 3"),
    "export": _command("export run/model -o out --to openvino", "run", "--licence mit"),
    "models export": _command("models export run/model out", "run", "--licence mit"),
}

EXEMPT = {
    "info": "writes nothing; every trial calls what it is made of",
    "node status": "likewise",
    "readers serve": "listens until it is ended; tests/readers kills it",
    "models import": "writes what models export writes, by the same function",
    "models verify": "writes nothing",
    "report": "writes one file, atomically",
    "models locate": "likewise",
    "demo lesions": "runs the commands above, one after the other",
    "demo pet": "likewise",
    "demo mr": "likewise",
    "demo faces": "likewise",
}

MATERIAL: dict[str, tuple[str, ...]] = {
    "run": ("train", "tiny.yaml", "cohort", "run"),
    "run-l1": ("train", "tiny.yaml", "cohort", "run-l1", "--set", "objective=l1"),
    "restored": ("restore", "run/model", "cohort", "-o", "restored", "--split", "test"),
    "restored-l1": ("restore", "run-l1/model", "cohort", "-o", "restored-l1", "--split", "test"),
    "evaluation": ("evaluate", "restored", "cohort", "-o", "evaluation"),
    "evaluation-l1": ("evaluate", "restored-l1", "cohort", "-o", "evaluation-l1"),
}
"""What commands make for others, in this order."""


def command_names(verbs: dict[str, Any]) -> list[str]:
    """Every command of the command line, ``verb`` or ``verb sub-command``."""
    names = []
    for verb, function in verbs.items():
        if isinstance(function, typer.Typer):
            names += [f"{verb} {one.name}" for one in function.registered_commands]
        else:
            names.append(verb)
    return names
