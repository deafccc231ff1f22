import math
import re
from pathlib import Path
from typing import Any

import pytest

from taskgan import stats as statistics

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def test_the_examples_of_the_page_run_and_give_what_it_says() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    found: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), found)
    assert found["tested"].describe(better=+1, unit=" dB") == "equivalent within ±1.00 dB"
    assert found["adjusted_p_values"]([0.01, 0.03, 0.04]) == pytest.approx([0.03, 0.06, 0.06])
    assert found["mcnemar"](1, 7) == pytest.approx(0.070, abs=5e-4)
    assert found["mcnemar"](1, 7, mid_p=True) == pytest.approx(0.039, abs=5e-4)
    assert not math.isnan(found["crossed_interval"](found["by_seed"]).low)
    assert not math.isnan(found["auc_interval"](found["scores"], found["labels"], found["subjects"]).low)
    assert found["error_rate"](found["wrong"], found["subjects"]).describe() == "0.15 (6/40) [0.03, 0.38]"
    assert found["study"].differences[0, 1].interval.excludes() == (found["study"].p < 0.05)
    assert 0.01 < found["again"].variation.estimate < 0.03


def test_the_page_names_every_function() -> None:
    text = PAGE.read_text(encoding="utf-8")
    public = [name for name in dir(statistics) if callable(getattr(statistics, name)) and name.islower()]
    helpers = {"bootstrap", "expanded_level", "subject_means"}
    planned = {name for name in public if name.startswith("detectable_") or name.endswith("_power")}
    absent = [name for name in public if name not in text and name not in helpers | planned]
    assert not absent
