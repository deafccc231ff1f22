"""Does Task-GAN keep the label? The whole experiment on BrainWeb heads, from simulation to the published tables.

    python experiments/pet_evidence.py WORK --anatomy BRAINWEB              # every stage, resumes where it was
    python experiments/pet_evidence.py WORK --anatomy BRAINWEB --stage train --seeds 1
    python experiments/pet_evidence.py WORK --publish results/pet-evidence

Test heads are never seen in training (8 heads train, 2 validate, 4 test). λ, μ and the best setting are chosen by
``taskgan sweep`` on the validation subjects, before any test image is restored: run the stages ``cohort`` and
``sweep`` first, write the choice into ``pet-evidence.yaml`` and ``METHODS``, then the other stages.
The last two stages ask judges that chose nothing, and how much of the label one slice holds (``taskgan limit``).
Stages and seeds can be run by several processes, one after another or
at once: each run folder belongs to one of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiment import SEEDS, Experiment, Method, Sweep, called
from taskgan.core.parts import Part
from taskgan.recipe import Recipe

SUBJECTS, SPLITS, POSITIVE, BORDERLINE = 200, (0.6, 0.14, 0.26), 0.35, 0.25
# What is compared, as changes of the recipe. All have the same generator, seeds, data order and steps; only
# CycleGAN's does not add its input: two generators that start as the identity pay nothing and never leave it.
# GAN has the λ that suited GAN, Task-GAN the λ and μ that suited Task-GAN (sweep-weights, rule below).
METHODS = {
    "l1": Method(("objective=l1",)),
    "cycle_gan": Method(("objective=cycle_gan", "generator.residual=false")),
    "gan": Method(("objective=gan", "loss.lambda_gan=0.1")),
    "task_gan": Method(("task.training=joint",)),
    "task_gan_frozen": Method(("task.training=frozen",)),
    # The best setting of sweep-forms: two slices on either side as further channels; and GAN and L1 with the same,
    # because a comparison with the GAN of one slice would call the neighbours' gain Task-GAN's.
    "l1_25d": Method(("objective=l1", "data.neighbours=2")),
    "gan_25d": Method(("objective=gan", "loss.lambda_gan=0.1", "data.neighbours=2")),
    "task_gan_25d": Method(("task.training=joint", "data.neighbours=2")),
}
# Every setting within 1 dB of the best PSNR may be chosen: the smallest error of the judge wins (among those with
# μ > 0 for Task-GAN, with μ = 0 for GAN). The second sweep is made at the weights of the first.
SHORT = ("validation.every=250", "validation.save_every=250")
SWEEPS = {
    "sweep-weights": Sweep(
        (*SHORT, "task.training=frozen"), ("loss.lambda_gan=0.1,0.3,1", "loss.mu_task=0,0.03,0.1,0.3")
    ),
    "sweep-forms": Sweep(
        SHORT,
        ("task.training=frozen,joint", "task.features=0,0.1", "data.neighbours=0,2"),
        ("objective=gan", "data.neighbours=2"),
    ),
}
# Who is audited, the first against the others: by a second network too, which had no part in choosing any setting.
AUDITED = ("task_gan_25d", "gan_25d", "task_gan", "gan", "l1")
_ABOUT = """# PET evidence

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/pet_evidence.py WORK --anatomy BRAINWEB
python experiments/pet_evidence.py WORK --publish results/pet-evidence
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; the choice of λ, μ and the best setting on validation subjects in
`sweep*/`; what judges that chose nothing say of who flipped in `audit/`; how much of the label one slice holds in
`limit-judge/` and `limit-task/`.
"""


class Pet(Experiment):
    """Its folders, recipes and stages."""

    script = __file__
    data = ("--anatomy", "with BrainWeb's tissue files")
    source = Path(__file__).with_name("pet-evidence.yaml")
    methods = METHODS
    sweeps = SWEEPS
    sweep_steps = 500
    within = 1.0
    groups = (*Experiment.groups, ("audit",), ("limit",))
    about = _ABOUT

    def reading(self, method: str, seed: int) -> Recipe:
        return self.recipe(method, seed)

    def make_cohort(self, folder: Path) -> None:
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import PetSimulation

        settings = PetSimulation(
            subjects=SUBJECTS, anatomy=folder, positive=POSITIVE, borderline=BORDERLINE, splits=SPLITS
        )
        simulate_pet(self.cohort, settings)

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        """Beside the common ones: judges that chose nothing, and what a slice holds."""
        if name == "audit":
            self.audits(asked.seeds)
        elif name == "limit":
            self.limit()
        else:
            super().stage(name, asked, share)

    def limit(self) -> None:
        """How much of the label one slice holds; images by the first seed's models."""
        from taskgan.limit.run import limit

        runs = [self.run(name, SEEDS[0]) for name in ("l1", "gan", "task_gan")]
        models = [run for run in runs if (run / "model").is_dir()]
        for reader in ("judge", "task"):
            limit(self.base(), self.cohort, self.work / "limit" / reader, models=models, reader=reader)

    def audits(self, seeds: Sequence[int]) -> None:
        for seed in seeds:
            self.audit(seed, f"seed{seed}", "none")
            # Of one seed, half of the test subjects calibrate the conformal intervals that the other half tests.
            if seed == SEEDS[0]:
                self.audit(seed, "conformal", "0.5")

    def audit(self, seed: int, name: str, calibration: str) -> None:
        from taskgan.audit.inputs import AuditSettings, select_cases
        from taskgan.audit.run import audit
        from taskgan.cohort.pairs import read_pairs
        from taskgan.cohort.restorations import find_restorations

        pairs = read_pairs(self.cohort)
        found = [find_restorations(self.run(one, seed) / "restored", pairs, one) for one in AUDITED]
        settings = AuditSettings(calibration=calibration)
        inputs = select_cases(pairs, found, self.recipe(AUDITED[0], seed))
        audit(inputs, self.work / "audit" / name, settings=settings, overwrite=True)


if __name__ == "__main__":
    called(Pet.main)
