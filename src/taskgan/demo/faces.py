"""``taskgan demo faces``: 8x super-resolution that keeps the person, on a part of Labeled Faces in the Wild."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.demo.driver import Demo, check_overrides, run_demo
from taskgan.recipe import Objective, dump_recipe, read_recipe

METHODS: tuple[Objective, ...] = ("gan", "task_gan")
CROP = 128
FACTOR = 8
NO_DATA = (
    "the faces demo has no images of its own: say --data LFW_FOLDER, the folder of Labeled Faces in the Wild (LFW, "
    "LFW-a or deep-funneled) with pairsDevTrain.txt and pairsDevTest.txt in it or beside it. Its page is "
    "vis-www.cs.umass.edu/lfw; sklearn.datasets.fetch_lfw_pairs() brings images and lists to "
    "~/scikit_learn_data/lfw_home"
)


def demo_faces(
    out: Path,
    data: Path | None,
    *,
    seed: int = 0,
    people: int = 450,
    images: int = 8,
    pairs: int = 150,
    overrides: Sequence[str] = (),
) -> Path:
    """Prepare a part of LFW, teach T and the judge, train two objectives, restore, verify, report.

    Args:
        out: Folder; it gets ``cohort/``, ``runs/<method>/`` and ``report/``.
        data: LFW's folder.
        seed: Of the part that is drawn and of the runs.
        people: Training and validation people.
        images: Of one of them at most.
        pairs: Matched, and as many mismatched, pairs of each list.
        overrides: Changes of the ``face-demo`` recipe.

    Returns:
        The report page.

    Raises:
        UserError: If there are no images, ``data`` is not laid out like LFW, or ``out`` holds a demo with other
            settings.
        Problems: If lists are malformed or name images that are missing.
    """
    from taskgan.prepare.lfw import LfwPreparation, LfwSubset, find_data, prepare_lfw
    from taskgan.recipe.generator import Blur, Down

    if data is None:
        raise UserError(NO_DATA)
    _, sources = find_data(data, {})  # what is wrong with it is said before anything is written
    lists = {name: checksum(one.source) for name, one in sources.items()}
    check_overrides(overrides, METHODS)
    base = read_recipe("face-demo", [*overrides, f"seed={seed}"])
    part = LfwSubset(people=people, images=images, pairs=pairs)
    preparation = LfwPreparation(
        degradation=(Blur(sigma=FACTOR / 3), Down(factor=FACTOR)), crop=CROP, seed=seed, subset=part
    )

    def _prepare(cohort: Path) -> None:
        prepare_lfw(data, cohort, preparation)

    def _teach(cohort: Path) -> None:
        from taskgan.cohort.pairs import read_pairs
        from taskgan.judges.readers import default_readers

        default_readers(read_pairs(cohort), base, None)

    return run_demo(
        out,
        Demo(
            title=f"{FACTOR}x super-resolution of faces, {people} people, {pairs} + {pairs} pairs to verify",
            minutes=8,
            settings={
                "seed": seed,
                "subset": part.model_dump(mode="json"),
                "lists": lists,
                "recipe": dump_recipe(base),
            },
            cohort_stage=("prepare: a part of LFW, cut to the face, blurred, 8x fewer pixels, bicubic", _prepare),
            recipes={method: base.model_copy(update={"objective": method}) for method in METHODS},
            readers=base,
            pretrain_stage=("teach T and the judge to tell people apart", _teach),
        ),
    )
