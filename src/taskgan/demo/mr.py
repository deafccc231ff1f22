"""``taskgan demo mr``: six contrasts from one multi-delay multi-echo acquisition, and the physics one could buy."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.demo.driver import Demo, check_overrides, run_demo
from taskgan.recipe import Objective, dump_recipe, read_recipe

METHODS: tuple[Objective, ...] = ("gan", "task_gan")
PHYSICS = "relaxometry"


def demo_mr(out: Path, *, seed: int = 0, subjects: int = 24, overrides: Sequence[str] = ()) -> Path:
    """Simulate a cohort, fit the test subjects, train two objectives, restore, evaluate, report.

    GAN has no T and passes over its phase, so that both generators learn as long, from the same slices in the same
    order.

    Args:
        out: Folder; it gets ``cohort/``, ``runs/<method>/`` and ``report/``.
        seed: Seed of the cohort and of the runs.
        subjects: How many to simulate.
        overrides: Changes of the ``mr-demo`` recipe.

    Returns:
        The report page.

    Raises:
        UserError: If ``out`` holds a demo with other settings, or an override is of what the demo sets itself.
    """
    check_overrides(overrides, METHODS)
    changes = [*overrides, f"seed={seed}"]
    base = read_recipe("mr-demo", changes)
    # The run teaches its own T. The one that reads the results learns as long as the judge.
    readers = read_recipe("mr-demo", [*changes, f"task.pretrain.steps={base.judge.steps}"])

    def simulate(cohort: Path) -> None:
        """Make the cohort."""
        from taskgan.simulate.mr.cohort import simulate_mr
        from taskgan.simulate.mr.settings import mr_simulation

        simulate_mr(cohort, mr_simulation(subjects=subjects, seed=seed))

    def fit(cohort: Path, restored: Path) -> None:
        """Restore the test subjects by the fit of the physics."""
        from taskgan.relaxometry.files import restore_by_relaxometry

        restore_by_relaxometry([cohort / "pairs.csv"], restored, recipe=base, split="test", overwrite=True)

    return run_demo(
        out,
        Demo(
            title=f"six MR contrasts from one acquisition, {subjects} simulated subjects",
            minutes=11,
            settings={"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)},
            cohort_stage=("simulate: tissues, lesions, signals of every sequence, coil noise", simulate),
            recipes={method: base.model_copy(update={"objective": method}) for method in METHODS},
            readers=readers,
            fit_methods={PHYSICS: fit},
        ),
    )
