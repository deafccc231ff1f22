"""Hostile YAML and JSON end in one sentence, in bounded time and memory."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import parse_json, parse_yaml, quoted, truncated, without_nonfinite
from taskgan.core.settings import apply_override
from taskgan.recipe import read_recipe


def message_of(call: Callable[[], object]) -> str:
    """What a call has against its input; empty where nothing. Any other error is a failure."""
    try:
        call()
    except UserError as error:
        return str(error)
    return ""


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "no such date": "a: 2024-02-30",
    "a prefix alone": "a: 0x_",
    "4301 digits": f"a: {'9' * 4301}",
    "hexadecimal": f"a: 0x{'f' * 5000}",
    "an empty number": "a: !!int ''",
    "no truth value": "a: !!bool perhaps",
    "a tag": "a: !!python/object/apply:os.system [true]",
    "900 lists": f"a: {'[' * 900}{']' * 900}",
    "unclosed lists": "[" * 100_000,
    "refers to itself": "a: &a [*a]",
    "a mapping in itself": "a: &a {<<: *a}",
    "aliases of aliases": BOMB,
    "a list as key": "{[1]: 2, {a: b}: 3}",
    "a control character": "a: \x00",
    "two documents": "a: 1\n---\na: 2",
    "a latin-1 sign": "a: caf\xe9",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_one_short_sentence_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"mine\.yaml (is not valid YAML|cannot be read)") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_yaml_that_people_write_is_read_as_before() -> None:
    text = "base: &b {lr: 1.0e-3, on: yes, when: 2024-02-29}\nnext: {<<: *b, lr: 0x10}\nlist: [*b, ~, '1', .nan]\n"
    ours, theirs = parse_yaml(text, "x"), yaml.safe_load(text)
    assert repr(ours) == repr(theirs)
    assert parse_yaml("a: &a [1, 2]\nb: *a", "x") == {"a": [1, 2], "b": [1, 2]}


def test_a_byte_order_mark_is_no_error_and_16_mib_are_the_most(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(path) == {"a": 1}
    with path.open("wb") as handle:
        handle.truncate(2**34)
    with pytest.raises(UserError, match="16 MiB"):
        read_yaml(path)


@pytest.mark.parametrize(
    "value", ["true", "5", "0x_", "2024-02-30", "[" * 900, "9" * 5000, "&a [*a]", "'" + "x" * 10**6 + "'", "{}"]
)
@pytest.mark.parametrize("key", ["schedule", "loss.mu_task", "data", "schedule.0.steps", "a.b.c"])
def test_what_set_is_given_ends_in_a_recipe_or_in_short_sentences(key: str, value: str) -> None:
    assert len(message_of(lambda: read_recipe("pet", [f"{key}={value}"]))) < 2000


def test_a_place_in_a_list_of_thousands_of_digits_is_none() -> None:
    with pytest.raises(UserError, match="no item"):
        apply_override({"schedule": [1]}, f"schedule.{'1' * 5000}=3")


def test_quoted_values_and_problems_are_cut() -> None:
    assert quoted("ab") == "'ab'"
    assert len(quoted(["x" * 1000] * 1000)) == 201
    assert quoted(10**5000) == "a int that cannot be shown"
    assert truncated("first\nsecond") == "first"
    assert str(Problems("all", ["wrong"] * 10**5)).count("\n") == 11


def test_json_is_bounded_in_depth() -> None:
    assert parse_json('{"a": [1, 2.5, null]}', "x") == {"a": [1, 2.5, None]}
    for text in ("[" * 3000 + "]" * 3000, "[" * 150 + "]" * 150):
        with pytest.raises(UserError, match="x nests more than 100"):
            parse_json(text, "x")
    for text in ("{'a': 1}", '{"a": 1,}', "", f"[{'9' * 5000}]"):
        with pytest.raises(UserError, match="x is not valid JSON"):
            parse_json(text, "x")


def test_numbers_that_json_does_not_have_are_taken_out_and_counted() -> None:
    nan, inf = float("nan"), float("inf")
    assert without_nonfinite({"a": nan, "b": {"c": [1, inf, [nan]], "d": 2}}) == (
        {"b": {"c": [1, None, [None]], "d": 2}},
        3,
    )
    assert without_nonfinite({"a": [1, {"b": "x"}]}) == ({"a": [1, {"b": "x"}]}, 0)


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**100), 2**100), st.floats(), st.dates(), st.text(max_size=8)
)
_VALUES = st.recursive(
    _SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4), max_leaves=12
)


@settings(max_examples=100, deadline=None, database=None)
@given(_VALUES, st.data())
def test_damaged_yaml_gives_a_value_or_a_sentence(value: Any, data: st.DataObject) -> None:
    text = yaml.safe_dump({"a": value}, allow_unicode=True)
    assert repr(parse_yaml(text, "x")) == repr(yaml.safe_load(text))
    at = data.draw(st.integers(0, len(text)))
    marks = ["&a ", "*a", "[", "{", "!!int ", "!!timestamp ", "\t", "\0", ": ", "<<: ", "'", "?"]
    damaged = text[:at] + data.draw(st.sampled_from(marks)) + text[at + data.draw(st.integers(0, 3)) :]
    assert len(message_of(lambda: parse_yaml(damaged, "x"))) < 500


def test_the_bounds_are_far_from_pythons_own() -> None:
    assert sys.getrecursionlimit() >= 1000
    deep: Any = 1
    for _ in range(95):
        deep = [deep]
    assert parse_yaml(yaml.safe_dump(deep), "x") == parse_json(repr(deep), "x") == deep
