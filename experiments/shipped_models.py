"""Make the models that ship with the package: cohort, training, figures on test subjects of unseen heads, card.

    python experiments/shipped_models.py WORK --anatomy BRAINWEB

BRAINWEB is a folder of BrainWeb's tissue files (Aubert-Broche 2006; free use). Called again, it goes on where it was.
A further model is a further entry of MODELS; the result lies in src/taskgan/models_shipped, one folder a model.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from taskgan.core.console import say
from taskgan.model.folder import read_model, write_model
from taskgan.recipe import read_recipe

SHIPPED = Path(__file__).parents[1] / "src" / "taskgan" / "models_shipped"


@dataclass(frozen=True)
class ShippedModel:
    """A model and what it learns from.

    Attributes:
        recipe: Name of a shipped recipe.
        overrides: Changes of it.
        doses: Of the simulated cohort, per cent.
        subjects: Of the cohort.
        seed: Of the cohort.
        use: Intended use, a sentence.
        data: What the cohort is, for the card.
        limits: Beside those of every card.
    """

    recipe: str
    overrides: tuple[str, ...]
    doses: tuple[float, ...]
    subjects: int
    seed: int
    use: str
    data: str
    limits: tuple[str, ...]


MODELS = {
    "pet-low-dose/dose1-2x2x5mm": ShippedModel(
        recipe="pet-volume-demo",
        overrides=("machine.threads=1",),
        doses=(1.0,),
        subjects=80,
        seed=18,
        use="Research and teaching: restoring brain amyloid PET of 1 % of the standard dose at about 2×2×5.2 mm.",
        data="simulated amyloid PET on BrainWeb heads (taskgan simulate pet, 80 subjects, seed 18)",
        limits=(
            "Trained on simulated data alone (2D TOF projection, 14 deformed BrainWeb heads): no scanner's images.",
            "No task network guards the diagnosis: pixel loss alone, which smooths; small lesions are not its aim.",
        ),
    )
}


def make(name: str, model: ShippedModel, work: Path, anatomy: Path) -> None:
    """One model, from cohort to card."""
    from taskgan.evaluate.run import evaluate
    from taskgan.release.hub import export_model
    from taskgan.restore.filters import restore_by_filter
    from taskgan.restore.run import restore
    from taskgan.simulate.pet.cohort import simulate_pet
    from taskgan.simulate.pet.settings import pet_simulation
    from taskgan.train.run import train

    cohort = work / "cohort"
    settings = pet_simulation(subjects=model.subjects, seed=model.seed, doses=model.doses, anatomy=anatomy)
    simulate_pet(cohort, settings, workers=1)
    recipe = read_recipe(model.recipe, model.overrides)
    trained = train(recipe, cohort, work / "run")
    restore(trained, cohort, work / "restored", split="test", precision="32", threads=1)
    restore_by_filter("gaussian", [cohort], work / "gaussian", recipe=recipe, split="test")
    methods = ("gaussian", "restored")
    evaluations = [work / f"{method}-evaluation" for method in methods]
    for method, out in zip(methods, evaluations, strict=True):
        evaluate(work / method, cohort, out)
    state, card = read_model(trained)
    changes = {"intended_use": model.use, "limits": (*card.limits, *model.limits), "measured": {}}
    seen = card.seen.model_copy(update={"cohort": model.data})
    write_model(work / "model", state, card.model_copy(update=changes | {"seen": seen}))
    export_model(
        work / "model", SHIPPED / name, name=name, licence="apache-2.0", evaluations=evaluations, overwrite=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--model", action="append", choices=list(MODELS), help="only this; default: all")
    asked = parser.parse_args()
    for name in asked.model or MODELS:
        say(name)
        make(name, MODELS[name], asked.work / name.replace("/", "-"), asked.anatomy)


if __name__ == "__main__":
    main()
