"""``make demo``: 1 % low-dose amyloid PET."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.demo.driver import Demo, check_overrides, run_demo
from taskgan.recipe import Objective, dump_recipe, read_recipe

METHODS: tuple[Objective, ...] = ("l1", "gan", "task_gan")


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
    check_overrides(overrides, METHODS)
    base = read_recipe("pet-demo", [*overrides, f"seed={seed}"])

    def simulate(cohort: Path) -> None:
        """Make the cohort."""
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import pet_simulation

        simulate_pet(cohort, pet_simulation(subjects=subjects, seed=seed))

    return run_demo(
        out,
        Demo(
            title=f"1 % low-dose amyloid PET, {subjects} simulated subjects",
            minutes=10,
            settings={"seed": seed, "subjects": subjects, "recipe": dump_recipe(base)},
            cohort_stage=("simulate: anatomy, uptake, TOF projection, thinning to 1 %, OSEM", simulate),
            recipes={method: base.model_copy(update={"objective": method}) for method in METHODS},
            readers=base,
        ),
    )
