"""The demos: lesions in T2-FLAIR, and the paper's three: low-dose PET, six MR contrasts, 8x super-resolved faces."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.demo.driver import Demo, check_overrides, run_demo
from taskgan.recipe import Objective, Recipe, dump_recipe, read_recipe

PET_METHODS: tuple[Objective, ...] = ("l1", "gan", "task_gan")  # of the lesions too
METHODS: tuple[Objective, ...] = ("gan", "task_gan")
PHYSICS = "relaxometry"
CROP = 128
FACTOR = 8
NO_DATA = (
    "the faces demo has no images of its own: say --data LFW_FOLDER, the folder of Labeled Faces in the Wild (LFW, "
    "LFW-a or deep-funneled) with pairsDevTrain.txt and pairsDevTest.txt in it or beside it. Its page is "
    "vis-www.cs.umass.edu/lfw; sklearn.datasets.fetch_lfw_pairs() brings images and lists to "
    "~/scikit_learn_data/lfw_home"
)


def demo_pet(out: Path, *, seed: int = 0, subjects: int = 36, overrides: Sequence[str] = ()) -> Path:
    """Simulate a cohort, train the three objectives, restore the test subjects, evaluate, report.

    Args:
        out: Folder; it gets ``cohort/``, ``runs/<method>/`` and ``report/``.
        seed: Seed of the cohort and of the runs.
        subjects: How many to simulate.
        overrides: Changes of the ``pet-demo`` recipe.

    Returns:
        The report page.

    Raises:
        UserError: If ``out`` holds a demo with other settings, or an override is of what the demo sets itself.
    """
    check_overrides(overrides, PET_METHODS)
    base = read_recipe("pet-demo", [*overrides, f"seed={seed}"])

    def _simulate(cohort: Path) -> None:
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import pet_simulation

        simulate_pet(cohort, pet_simulation(subjects=subjects, seed=seed))

    demo = Demo(
        title=f"1 % low-dose amyloid PET, {subjects} simulated subjects",
        minutes=10,
        settings={"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)},
        cohort_stage=("simulate: anatomy, uptake, TOF projection, thinning to 1 %, OSEM", _simulate),
        recipes={method: base.model_copy(update={"objective": method}) for method in PET_METHODS},
        readers=base,
    )
    return run_demo(out, demo)


def demo_lesions(out: Path, *, seed: int = 0, subjects: int = 24, overrides: Sequence[str] = ()) -> Path:
    """What a task network is for: T2-FLAIR from one acquisition, where L1 and GAN lose lesions and Task-GAN keeps them.

    Beside them stands the fit of the physics, which learns nothing. Arguments, result and errors are those of
    :func:`demo_pet`; the recipe is ``mr-flair-demo``.
    """
    check_overrides(overrides, PET_METHODS)
    base = read_recipe("mr-flair-demo", [*overrides, f"seed={seed}"])
    demo = Demo(
        title=f"T2-FLAIR from one acquisition, which restoration keeps lesions? {subjects} simulated subjects",
        minutes=11,
        settings={"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)},
        cohort_stage=(
            "simulate: tissues, lesions, signals of every sequence, coil noise",
            partial(_simulate_mr, subjects=subjects, seed=seed, patients=0.85, tumours=0.0, targets=["T2-FLAIR"]),
        ),
        recipes={method: base.model_copy(update={"objective": method}) for method in PET_METHODS},
        readers=base,
        fit_methods={PHYSICS: partial(_fit, base)},
    )
    return run_demo(out, demo)


def _simulate_mr(cohort: Path, *, targets: Sequence[str] = (), **settings: Any) -> None:
    from taskgan.physics.sequences import TARGETS
    from taskgan.simulate.mr.cohort import simulate_mr
    from taskgan.simulate.mr.settings import mr_simulation

    some = {"targets": tuple(target for target in TARGETS if target.name in targets)} if targets else {}
    simulate_mr(cohort, mr_simulation(**settings, **some))


def _fit(recipe: Recipe, cohort: Path, restored: Path) -> None:
    from taskgan.relaxometry.files import restore_by_relaxometry

    restore_by_relaxometry([cohort / "pairs.csv"], restored, recipe=recipe, split="test", overwrite=True)


def demo_mr(out: Path, *, seed: int = 0, subjects: int = 24, overrides: Sequence[str] = ()) -> Path:
    """Simulate a cohort, fit the test subjects, train two objectives, restore, evaluate, report.

    GAN has no T and passes over its phase, so that both generators learn as long, from the same slices in the same
    order. Arguments, result and errors are those of :func:`demo_pet`; the recipe is ``mr-demo``.
    """
    check_overrides(overrides, METHODS)
    changes = [*overrides, f"seed={seed}"]
    base = read_recipe("mr-demo", changes)
    # The run teaches its own T. The one that reads the results learns as long as the judge.
    readers = read_recipe("mr-demo", [*changes, f"task.pretrain.steps={base.judge.steps}"])

    demo = Demo(
        title=f"six MR contrasts from one acquisition, {subjects} simulated subjects",
        minutes=11,
        settings={"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)},
        cohort_stage=(
            "simulate: tissues, lesions, signals of every sequence, coil noise",
            partial(_simulate_mr, subjects=subjects, seed=seed),
        ),
        recipes={method: base.model_copy(update={"objective": method}) for method in METHODS},
        readers=readers,
        fit_methods={PHYSICS: partial(_fit, base)},
    )
    return run_demo(out, demo)


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
        out: As of :func:`demo_pet`, and so is the result.
        data: LFW's folder.
        seed: Of the part that is drawn and of the runs.
        people: Training and validation people.
        images: Of one of them at most.
        pairs: Matched, and as many mismatched, pairs of each list.
        overrides: Changes of the ``face-demo`` recipe.

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
    degradation = (Blur(sigma=FACTOR / 3), Down(factor=FACTOR))
    preparation = LfwPreparation(degradation=degradation, crop=CROP, seed=seed, subset=part)

    def _prepare(cohort: Path) -> None:
        prepare_lfw(data, cohort, preparation)

    def _teach(cohort: Path) -> None:
        from taskgan.cohort.pairs import read_pairs
        from taskgan.judges.readers import default_readers

        default_readers(read_pairs(cohort), base, None)

    demo = Demo(
        title=f"{FACTOR}x super-resolution of faces, {people} people, {pairs} + {pairs} pairs to verify",
        minutes=8,
        settings={"seed": seed, "subset": part.model_dump(mode="json"), "lists": lists, "recipe": dump_recipe(base)},
        cohort_stage=("prepare: a part of LFW, cut to the face, blurred, 8x fewer pixels, bicubic", _prepare),
        recipes={method: base.model_copy(update={"objective": method}) for method in METHODS},
        readers=base,
        pretrain_stage=("teach T and the judge to tell people apart", _teach),
    )
    return run_demo(out, demo)
