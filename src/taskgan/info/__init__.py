"""``taskgan info``: what is this folder? A screenful, or everything; one file for each kind of folder.

Read from YAML, JSON and CSV alone, so it answers at once.
"""

from taskgan.info.describe import as_json, check, describe

__all__ = ["as_json", "check", "describe"]
