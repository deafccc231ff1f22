"""Make the models that ship with the package: cohort, training, figures on test subjects of unseen heads, card.

    python experiments/shipped_models.py WORK --anatomy BRAINWEB

BRAINWEB is a folder of BrainWeb's tissue files (Aubert-Broche 2006; free use). Called again, it goes on where it was.
A further model is a further entry of MODELS; the result lies in src/taskgan/models_shipped, one folder a model.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import write_text
from taskgan.core.parse import parse_json, read_text
from taskgan.model.folder import read_model, write_model
from taskgan.recipe import read_recipe

SHIPPED = Path(__file__).parents[1] / "src" / "taskgan" / "models_shipped"

QUALITY = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 3), ("rmse_relative", "relative RMSE", 3))


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
    ),
    "pet-low-dose/doses-2x2x5mm": ShippedModel(
        recipe="pet-doses",
        overrides=("machine.threads=1",),
        doses=(1.0, 2.0, 5.0, 10.0, 25.0),
        subjects=80,
        seed=18,
        use="Research and teaching: restoring brain amyloid PET of 1 to 25 % of the standard dose, which it is told.",
        data="simulated amyloid PET on BrainWeb heads at five doses (taskgan simulate pet, 80 subjects, seed 18)",
        limits=(
            "Trained on simulated data alone (2D TOF projection, 14 deformed BrainWeb heads): no scanner's images.",
            "No task network guards the diagnosis: pixel loss alone, which smooths; small lesions are not its aim.",
            "It takes the dose that it is told (--set dose=5) for the true one.",
        ),
    ),
}


def read_figures(evaluations: Sequence[Path]) -> dict[str, Any]:
    """What evaluations of the same test subjects say of each method and of the input.

    Raises:
        UserError: If a folder is no evaluation.
    """
    figures: dict[str, Any] = {}
    for folder in evaluations:
        if not (folder / "summary.json").is_file():
            raise UserError(f"{folder} is no evaluation; expected a folder with evaluation.yaml and summary.json")
        figures |= parse_json(read_text(folder / "summary.json"), str(folder))
    return {name: values for name, values in figures.items() if name != "clean"}


def table(figures: dict[str, Any]) -> str:
    """Means over subjects with their 95 % intervals, a row a method."""
    rows = [["", *(title for _, title, _ in QUALITY), "test subjects"], ["---"] * 5]
    for method, values in figures.items():
        cells = [
            "{estimate:.{n}f} ({low:.{n}f} to {high:.{n}f})".format(n=digits, **values["quality"][key])
            for key, _, digits in QUALITY
        ]
        rows.append([method, *cells, str(values["subjects"])])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", "Mean over test subjects, whole frame, 95 % interval by subject."])


def make(name: str, model: ShippedModel, work: Path, anatomy: Path) -> None:
    """One model, from cohort to card."""
    from taskgan.evaluate.run import evaluate
    from taskgan.release.export import model_readme
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
    card = card.model_copy(update=changes | {"name": name, "seen": seen})
    write_model(SHIPPED / name, state, card)
    figures = read_figures(evaluations)
    own = figures[card.objective]["quality"]
    metrics = [
        {"type": key, "name": title, "value": round(float(own[key]["estimate"]), digits + 1)}
        for key, title, digits in QUALITY
    ]
    text = model_readme(card, licence="apache-2.0", figures=table(figures), metrics=metrics)
    write_text(SHIPPED / name / "README.md", text)


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
