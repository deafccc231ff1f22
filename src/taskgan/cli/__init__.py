"""The command line: one file a verb; arguments in, one call out. Heavy imports happen inside the verbs."""

from taskgan.cli.app import app
from taskgan.cli.entry import main

__all__ = ["app", "main"]
