"""A reader study of tiny brains, and programs that answer it as the page does."""

from pathlib import Path
from typing import Any

import numpy as np

from fake_cohort import blur, make_cohort, make_restorations, shrink
from readers_demo import Answer
from taskgan.readers.make import make_study
from taskgan.readers.study import StudyPlan, read_study


def small_study(folder: Path, *, test: int = 8, **plan: Any) -> Path:
    """``folder/study`` of two methods; without wash-outs unless said otherwise."""
    cohort = make_cohort(folder / "cohort", test=test)
    restored = [
        str(make_restorations(folder / name, cohort, name, change))
        for name, change in (("soft", blur(1.0)), ("pulled", shrink(0.6, 0.08)))
    ]
    return make_study(folder / "study", cohort, restored, StudyPlan(**{"washout_days": 0.0, **plan}))


def bright_rim(voxels: np.ndarray[Any, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Answers by how bright the upper fifth of the head is; ``voxels`` (Z, Y, X)."""
    del item
    inside = voxels[voxels > 0.1 * voxels.max()]
    sign = 8 * (np.quantile(inside, 0.8) / np.quantile(inside, 0.3) - 1.5)
    sure = int(np.clip(1 + 2 * abs(sign), 1, 5))
    return {"decision": {"decision": int(sign > 0), "confidence": sure}, "quality": sure, "artefacts": ["noise"]}


def answer_all(study: Path, answer: Answer = bright_rim, most: int | None = None) -> None:
    """Answers of every reader, without a server; so many of each at most."""
    from taskgan.readers.answers import AnswerStore
    from taskgan.readers.server import StudyDesk

    read = read_study(study)
    store = AnswerStore(study)
    desk = StudyDesk(read, store, clock=lambda: 1.8e9)
    for reader in read.record.readers:
        count, state = 0, desk.state(reader)
        while state["item"] and (most is None or count < most):
            item = state["item"]
            raw = np.frombuffer(desk.voxels(reader, item["id"]), f"<u{item['bits'] // 8}")
            given = answer(raw.reshape(*item["shape"][::-1], item["channels"])[..., 0].astype(np.float64), item)
            for question, value in given.items():
                desk.answer(reader, {"id": item["id"], "question": question, "value": value, "seconds": 2.0})
            state = desk.finish(reader, {"id": item["id"], "seconds": 1.0})
            count += 1
    store.close()
