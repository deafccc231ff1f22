"""The site's builder: source by name, links, commands and docstrings; its checker sees what is wrong."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "site"))
import links
import pages


def test_source_is_that_of_the_function_of_that_name() -> None:
    text = pages.source("taskgan.objective.total.pixel_loss")
    assert text.startswith("`taskgan.objective.total.pixel_loss`: Eq. 1")
    assert "def pixel_loss(" in text
    assert '"""' not in text
    assert "def total(" in pages.source("taskgan.objective.total.WeightedSum.total")
    page = (pages.DOCS / "concepts.md").read_text(encoding="utf-8")
    assert pages.quoted(page).count("```python") == page.count("<!-- source:") >= 6


def test_every_command_and_setting_is_in_the_reference() -> None:
    text = pages.commands()
    assert all(f"## taskgan {name}\n" in text for name in ("restore", "models verify", "simulate pet", "export"))
    assert "`--engine`" in text
    recipes = pages.recipes()
    assert "## loss" in recipes
    assert "| `mu_task` |" in recipes
    assert "## Recipe pet-demo" in recipes


def test_docstrings_become_lists() -> None:
    assert pages.docstring("Do.\n\nArgs:\n    x: A :class:`~a.B`.\n        More.") == (
        "Do.\n\n\n**Args**\n\n- `x`: A `a.B`.\n  More.\n"
    )


def test_a_link_to_nothing_and_what_is_fetched_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="x"></p><a href="b.html#y">b</a><a href="#x">x</a><a href="c.html">c</a>')
    (tmp_path / "b.html").write_text('<script src="https://example.org/x.js"></script><a href="a.html#x">a</a>')
    assert links.problems(tmp_path) == [
        "a.html: b.html#y has no such anchor",
        "a.html: c.html is not there",
        "b.html fetches https://example.org/x.js",
    ]


def test_a_link_of_a_page_that_leads_nowhere_stops_the_build() -> None:
    with pytest.raises(SystemExit, match="nothing.md is not there"):
        pages.with_links("[x](nothing.md)", pages.DOCS / "faq.md")
