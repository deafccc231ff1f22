"""Pages are filled from templates; all of them share the style and the macros of the report's."""

from importlib import resources
from typing import Any


def render_template(package: str, name: str, **values: object) -> str:
    """A page as text.

    Args:
        package: The package in whose ``templates`` folder the template lies, e.g. ``taskgan.audit``.
        name: Its file name.
        values: What the template asks for; a value that is missing is an error, not an empty place.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    def text(package: str, name: str) -> str:
        return (resources.files(package) / "templates" / name).read_text(encoding="utf-8")

    shared = {part: text("taskgan.report", part) for part in ("style.css", "macros.html")}
    environment: Any = Environment(
        loader=DictLoader({**shared, name: text(package, name)}),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return str(environment.get_template(name).render(**values))
