"""Low-dose PET beside a T1-weighted image of the same head: what does the MR add to a restorer of volumes?

    python experiments/pet_mr.py WORK --anatomy BRAINWEB              # every stage, resumes where it was
    python experiments/pet_mr.py WORK --publish results/pet-mr
    python experiments/pet_mr.py TRIAL --anatomy BRAINWEB --trial     # every stage once, tiny: no result

Recipe ``pet-volume-demo`` twice, once with the T1-weighted image as a second input, and a Gaussian filter. Test heads
are never seen in training (8 heads train, 2 validate, 4 test). Nothing is chosen: settings are the shipped recipe's.
The T1-weighted image lies exactly on its PET, and the simulator's uptake follows the tissue that it shows: a bound from
above for what an MR of another examination, registered, would add.
"""

import argparse
from pathlib import Path
from typing import Any

from experiment import SEEDS, Experiment, Method, called, complete
from taskgan.core.parts import Part

COHORT: dict[str, Any] = {"subjects": 100, "positive": 0.35, "borderline": 0.25, "splits": (0.5, 0.14, 0.36)}
TRIAL_COHORT: dict[str, Any] = {"subjects": 14, "splits": (0.5, 0.25, 0.25)}
FILTER = "gaussian"
PACE = ("validation={every: 500, save_every: 100, cases: 10}", "machine.threads=1")


class PetMr(Experiment):
    """PET alone and PET with MR."""

    script = __file__
    data = ("--anatomy", "with BrainWeb's tissue files")
    source = Path("pet-volume-demo")
    methods = {  # noqa: RUF012
        "l1_volume": Method(PACE),
        "l1_volume_t1": Method((*PACE, "data.inputs=[degraded, t1]")),
    }
    untrained = (FILTER,)
    sweeps = {}  # noqa: RUF012
    groups = (("cohort",), ("train", "judge"), ("report",), ("limit",))
    baseline = "l1_volume"
    small = (
        "generator={dimensions: 3, width: 4, max_width: 8, depth: 1, norm: none, residual: 4}",
        "data.patch=[32, 32, 8]",
        *(f"{one}.{key}" for one in ("task.pretrain", "judge") for key in ("steps=12", "width=8", "validate_every=6")),
        *(f"optimiser.{key}=12" for key in ("steps", "warmup")),
    )
    about = """# PET beside MR: what a T1-weighted image adds

1 % low-dose amyloid PET, restorers of volumes trained with L1: `l1_volume` sees the PET, `l1_volume_t1` a T1-weighted
image of the same head beside it, `gaussian` is a filter whose width the validation subjects chose.

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/pet_mr.py WORK --anatomy BRAINWEB
python experiments/pet_mr.py WORK --publish results/pet-mr
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; what the PET holds of the label, and L1 of volumes keeps, in `limit-judge/`.
"""

    def make_cohort(self, folder: Path) -> None:
        from taskgan.simulate.pet.cohort import simulate_pet
        from taskgan.simulate.pet.settings import PetSimulation

        changes = TRIAL_COHORT if self.trial else {}
        simulate_pet(self.cohort, PetSimulation(anatomy=folder, with_t1=True, **COHORT | changes))

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        """Beside the common ones: how much of the label the PET holds, and L1 of it keeps."""
        if name == "limit":
            from taskgan.limit.run import limit

            limit(self.base(), self.cohort, self.work / "limit" / "judge", models=[self.run("l1_volume", SEEDS[0])])
        else:
            super().stage(name, asked, share)

    def judge(self, method: str, seed: int) -> None:
        """The filter's images come from no run."""
        restored = self.run(method, seed) / "restored"
        if method == FILTER and not complete(restored):
            from taskgan.restore.filters import restore_by_filter

            restore_by_filter(method, [self.table], restored, recipe=self.base(), split="test")
        super().judge(method, seed)


if __name__ == "__main__":
    called(PetMr.main)
