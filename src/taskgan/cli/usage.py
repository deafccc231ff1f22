"""A command line that the option parser cannot read, in one sentence."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

import typer

# The parser's base class of such errors has no public name; its neighbours in the hierarchy have.
UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError"
)


def usage_sentence(error: Any) -> str:
    """What is wrong and where the help is, e.g. ``taskgan train: missing argument RUN (see taskgan train --help)``.

    Args:
        error: A :data:`UsageError`.
    """
    command = error.ctx.command_path if error.ctx is not None else "taskgan"
    return f"{command}: {_problem(error)} (see {command} --help)"


def is_help(error: Any) -> bool:
    """Whether it is no error but the help of a command that was called without anything."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _problem(error: Any) -> str:
    if hasattr(error, "possibilities"):
        return f"unknown option {error.option_name}{_nearest(error.option_name, _options(error.ctx))}"
    if getattr(error, "param", None) is not None:
        return _parameter(error)
    text = str(error.format_message()).rstrip(".")
    extra = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", text)
    if extra:
        return f"unexpected argument {extra[1]}"
    unknown = re.match(r"No such command '(.*?)'", text)
    if unknown:
        known = list(getattr(error.ctx.command, "commands", ()))
        hint = _nearest(unknown[1], known) or f", expected one of {', '.join(known)}"
        return f"unknown command {unknown[1]}{hint}"
    return text[:1].lower() + text[1:]


def _parameter(error: Any) -> str:
    """Of an argument or option that is missing or has a value that it cannot have."""
    if hasattr(error, "param_type"):
        if error.param.param_type_name == "option":
            return f"missing option {_name(error.param)}"
        # Arguments are read in order: where one is missing, so are those after it.
        own = [p for p in error.ctx.command.params if p.param_type_name == "argument" and p.required]
        absent = [_name(param) for param in own[own.index(error.param) :]]
        return f"missing argument{'s' * (len(absent) > 1)} {', '.join(absent)}"
    message = str(error.message).rstrip(".").partition(", unable to parse")[0]
    details = getattr(error.__cause__, "errors", None)
    received = f", found {details()[0]['input']!r}" if details is not None else ""
    return f"{_name(error.param)}: {message[:1].lower()}{message[1:]}{received}"


def _name(param: Any) -> str:
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.name).upper()


def _options(ctx: Any) -> list[str]:
    return [
        *(name for param in ctx.command.params for name in param.opts if name.startswith("--")),
        "--help",
    ]


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {near[0]}?" if near else ""
