"""What restores 1 % low-dose PET, and does it keep the label? From simulation on BrainWeb heads to tables.

    python experiments/pet_volumes.py WORK --anatomy BRAINWEB              # every stage, resumes where it was
    python experiments/pet_volumes.py WORK --stage train --stage judge --seeds 1
    python experiments/pet_volumes.py WORK --publish results/pet-volumes
    python experiments/pet_volumes.py TRIAL --anatomy BRAINWEB --trial     # every stage once, tiny: no result

Test heads are never seen in training (8 heads train, 2 validate, 4 test). A generator of slices that is given
neighbours and smoothed copies of the volume learns by L1; from its weights four methods go on for equal steps: L1, GAN,
Task-GAN, and L1 with T (λ = 0). Beside them stand L1 of a generator of volumes, GAN and Task-GAN that go on from it (on
blocks of whole slices, which D and T read), MONAI's 3D BasicUNet in the same processor time as L1 of volumes, and a
Gaussian and non-local means whose settings the validation subjects choose.
λ (.1, GAN's) and μ (.03) were chosen on validation subjects of the same cohort by the sweeps of ``pet_evidence.py``.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiment import SEEDS, Experiment, Method, called, complete
from taskgan.core.files import read_yaml, write_yaml
from taskgan.core.parts import Part
from taskgan.recipe import Recipe, read_recipe

COHORT: dict[str, Any] = {"subjects": 200, "positive": 0.35, "borderline": 0.25, "splits": (0.6, 0.14, 0.26)}
TRIAL_COHORT: dict[str, Any] = {"subjects": 14, "splits": (0.5, 0.25, 0.25)}
FILTERS = ("gaussian", "nlm")
MONAI = "monai"
WARM = "warm"
METHODS = {
    "l1": Method(("objective=l1",)),
    "gan": Method(("objective=gan",)),
    "task_gan": Method(("objective=task_gan",)),
    "l1_task": Method(("objective=task_gan", "loss.lambda_gan=0")),
    "l1_volume": Method(("objective=l1",)),
    "gan_volume": Method(("objective=gan",)),
    "task_gan_volume": Method(("objective=task_gan",)),
    MONAI: Method(("objective=l1",)),
}
# What goes on, from whose weights.
GO_ON = {name: WARM for name in ("l1", "gan", "task_gan", "l1_task")}
GO_ON |= {name: "l1_volume" for name in ("gan_volume", "task_gan_volume")}
FIRST = ("objective=l1", "optimiser.lr=1.0e-3")
STEPS = {WARM: 600, "l1_volume": 2500, "gan_volume": 200, "task_gan_volume": 200}
ONE_SEED = (MONAI,)  # costs as much as L1 of volumes, whose spread over seeds is known
WHOLE_SLICES = "data.patch=[112, 112, 8]"  # what T has learnt to read
TRIAL = (
    "generator={width: 8, max_width: 16, depth: 3, norm: none, dropout_layers: 1, residual: 4}",
    "discriminator={widths: [8, 8, 8], norm: instance}",
    "loss.feature_layers=[1, 2]",
    *(f"{one}.{key}" for one in ("task.pretrain", "judge") for key in ("steps=12", "width=8", "validate_every=6")),
    *(f"{key}=12" for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")),
)
# Who is audited, the first against the others: by a second network too, which had no part in choosing any setting.
AUDITED = ("task_gan", "gan", "l1")
_ABOUT = """# PET: the volume, and what it is worth

1 % low-dose amyloid PET, subjects of [pet-evidence](../pet-evidence). `l1`, `gan`, `task_gan` (and `l1_task`, λ = 0)
see neighbours and smoothed copies, and go on from the same L1 weights for the same steps; `l1_volume` sees the volume,
and `gan_volume` and `task_gan_volume` go on from it; `monai` is MONAI's 3D BasicUNet in the processor time of
`l1_volume`, one seed; `gaussian` and `nlm` are filters.

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/pet_volumes.py WORK --anatomy BRAINWEB
python experiments/pet_volumes.py WORK --publish results/pet-volumes
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; processor time of every training in `processor.yaml`; where those stages
were run, what judges that chose nothing say of who flipped in `audit/`, and how much of the label the input holds in
`limit-judge/`.
"""


class Pet(Experiment):
    """Its folders, recipes and stages."""

    script = __file__
    data = ("--anatomy", "with BrainWeb's tissue files")
    source = Path(__file__).with_name("pet-volumes.yaml")
    methods = METHODS
    untrained = FILTERS
    groups = (("cohort",), ("train", "judge"), ("report",), ("audit",), ("limit",))
    beside = {  # noqa: RUF012
        "report-l1": ("l1", *FILTERS, "l1_volume", MONAI, "l1_task"),
        "report-volume": ("gan_volume", "l1_volume", "task_gan_volume"),
    }
    small = TRIAL
    about = _ABOUT

    def runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
        return [(m, s) for m, s in super().runs(methods, seeds) if m not in ONE_SEED or s == SEEDS[0]]

    def recipe(self, name: str, seed: int, further: Sequence[str] = ()) -> Recipe:
        count = [f"optimiser.steps={STEPS[name]}"] if name in STEPS and not self.trial else []
        own = [*self.changes, f"seed={seed}", *count]
        if name.endswith("_volume"):  # the shipped one; everything else is the experiment's
            base = self.base()
            small = [change for change in own if not change.startswith(("generator", "discriminator", "loss"))]
            small += ["validation.cases=10"]
            small += [] if self.trial else ["validation.every=500", "validation.save_every=100"]
            block = [] if name == "l1_volume" else [WHOLE_SLICES, "optimiser.lr=3.0e-4"]
            recipe = read_recipe("pet-volume-demo", [*self.methods[name].changes, *small, *block])
            same = {one: getattr(base, one) for one in ("task", "judge", "loss", "discriminator")}
            return recipe.model_copy(update={**same, "machine": base.machine.model_copy(update={"precision": "auto"})})
        changes = FIRST if name == WARM else self.methods[name].changes
        return read_recipe(self.source, [*changes, *own, *further])

    def make_cohort(self, folder: Path) -> None:
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import PetSimulation

        simulate_pet(self.cohort, PetSimulation(anatomy=folder, **COHORT | (TRIAL_COHORT if self.trial else {})))

    def train(self, method: str, seed: int) -> None:
        """Some begin where the first steps ended; MONAI has the processor time of the generator of volumes."""
        from taskgan.train.run import train

        run = self.run(method, seed)
        if method == MONAI:
            return
        start = None
        if method in GO_ON:
            start = self.run(GO_ON[method], seed)
            self.train(GO_ON[method], seed)
        begun = time.process_time()
        train(self.recipe(method, seed), self.table, run, start=start)
        spent = time.process_time() - begun
        record = run / "processor.yaml"
        if spent > 5 or not record.is_file():  # not that of a call that found it finished
            before = read_yaml(record)["seconds"] if record.is_file() else 0
            write_yaml(record, {"seconds": round(before + spent)})

    def judge(self, method: str, seed: int) -> None:
        """Filters come from no run, and MONAI's network is trained and applied here."""
        restored = self.run(method, seed) / "restored"
        if method in FILTERS and not complete(restored):
            from taskgan.restore.filters import restore_by_filter

            restore_by_filter(method, [self.table], restored, recipe=self.base(), split="test")
        if method == MONAI and not (restored / "monai.yaml").is_file():
            from monai_unet import train_and_restore
            from taskgan.cohort.pairs import read_pairs

            seconds = read_yaml(self.run("l1_volume", seed) / "processor.yaml")["seconds"]
            restored.mkdir(parents=True, exist_ok=True)
            train_and_restore(read_pairs(self.cohort), self.base().data, restored, seconds=seconds, seed=seed)
        super().judge(method, seed)

    def restored(self, run: Path, out: Path, split: str) -> Path:
        return out if (out / "monai.yaml").is_file() else super().restored(run, out, split)

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        """Beside the common ones: judges that chose nothing, and what the input holds."""
        if name == "audit":
            for seed in asked.seeds:
                self.audit(seed)
        elif name == "limit":
            self.limit()
        else:
            super().stage(name, asked, share)

    def limit(self) -> None:
        """How much of the label the input with its smoothed copies holds; images by the first seed's L1."""
        from taskgan.limit.run import limit

        restored = [self.run(name, SEEDS[0]) / "restored" for name in ("l1_volume", "l1", "gan", "task_gan")]
        limit(self.base(), self.cohort, self.work / "limit" / "judge", restored=restored)

    def audit(self, seed: int) -> None:
        from taskgan.audit.inputs import AuditSettings, select_cases
        from taskgan.audit.run import audit
        from taskgan.cohort.pairs import read_pairs
        from taskgan.cohort.restorations import find_restorations

        pairs = read_pairs(self.cohort)
        methods = [find_restorations(self.run(one, seed) / "restored", pairs, one) for one in AUDITED]
        inputs = select_cases(pairs, methods, self.recipe(AUDITED[0], seed))
        out = self.work / "audit" / f"seed{seed}"
        audit(inputs, out, settings=AuditSettings(calibration="none"), overwrite=True)

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        super().publish(out, methods, seeds)
        runs = [*self.runs(methods, seeds), *((WARM, seed) for seed in seeds)]
        spent = {}
        for name in sorted(self.run(*run).name for run in runs):
            for record in (
                self.work / "runs" / name / "processor.yaml",
                self.work / "runs" / name / "restored" / "monai.yaml",
            ):
                if record.is_file():
                    spent[name] = read_yaml(record)
        write_yaml(out / "processor.yaml", spent)


if __name__ == "__main__":
    called(Pet.main)
