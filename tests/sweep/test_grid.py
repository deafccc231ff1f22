import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taskgan.core.errors import UserError
from taskgan.sweep.plan import GridAxis, grid_values, parse_grid, parse_seeds, short_key

scalars = (
    st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
)
values = st.lists(scalars | st.lists(scalars, max_size=4), min_size=1, max_size=5)


def written(value: object) -> str:
    """A value in YAML's flow style on one line."""
    return yaml.safe_dump([value], default_flow_style=True, width=10_000).strip()[1:-1]


@given(values)
def test_what_yaml_writes_is_read_back(given_values: list[object]) -> None:
    text = ",".join(written(value) for value in given_values)
    (axis,) = parse_grid([f"a.b={text}"])
    assert list(axis.values) == given_values


def test_lists_quotes_and_nested_brackets_hold_together() -> None:
    (axis,) = parse_grid(["loss.feature_layers=[1,2],[2,3,4], [[1],[2,3]], 'a,b', null, {a: [1,2]}"])
    assert axis == GridAxis("loss.feature_layers", ([1, 2], [2, 3, 4], [[1], [2, 3]], "a,b", None, {"a": [1, 2]}))


def test_an_apostrophe_inside_a_word_is_no_quote() -> None:
    assert parse_grid(["a.b=don't,can't"]) == (GridAxis("a.b", ("don't", "can't")),)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to sweep"),
        (["loss.mu_task"], "expected section.key=value"),
        (["=1"], "expected section.key=value"),
        (["a.b="], "a value is empty"),
        (["a.b=1,,2"], "is not valid YAML"),
        (["a.b=1,"], "a value is empty"),
        (["a.b=[1,2"], "is not valid YAML"),
        (["a.b=1]"], "is not valid YAML"),
        (["a.b=[1}"], "is not valid YAML"),
        (["a.b='x"], "is not valid YAML"),
        (["a.b=x: y: z"], "is not valid YAML"),
        (["a.b=1", "a.b=2"], "is given twice"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_a_sentence(texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_grid(texts)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_every_combination_comes_exactly_once(sizes: list[int]) -> None:
    axes = [GridAxis(f"k{i}", tuple(range(size))) for i, size in enumerate(sizes)]
    count = math.prod(len(axis.values) for axis in axes)
    found = [tuple(grid_values(axes, n).items()) for n in range(count)]
    assert len(set(found)) == len(found) == count
    assert found == sorted(found)


def test_seeds() -> None:
    assert parse_seeds(None, 7) == (7,)
    assert parse_seeds("0, 2,1", 7) == (0, 2, 1)
    for wrong in ("", "a", "1,1", "01,1", "-1", "0,,1"):
        with pytest.raises(UserError, match="different whole numbers"):
            parse_seeds(wrong, 0)


def test_the_tasks_of_a_list_keep_their_whole_names() -> None:
    """Else the folders of task.0.features and task.1.features would be called alike."""
    assert short_key("task.features") == "features"
    assert short_key("task.1.features") == "task.1.features"
