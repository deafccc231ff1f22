"""Six MR contrasts from one multi-delay multi-echo acquisition, with a task network that marks lesions in all of them.

    python experiments/mr_six_lesions.py WORK --anatomy BRAINWEB                 # every stage, resumes where it was
    python experiments/mr_six_lesions.py WORK --publish results/mr-six-lesions
    python experiments/mr_six_lesions.py TRIAL --anatomy BRAINWEB --trial        # every stage once, tiny: no result

Cohort, λ and μ are those of ``mr_lesions.py``, whose validation subjects chose μ for T2-FLAIR alone; here nothing is
chosen. A second task network knows the six contrasts, as in the paper. Both T and both judges learn on clean images of
training subjects and stay as they are.

Minutes of one core (AVX-512, bf16): cohort 2, T 20, judge 12, training 15 a seed, judging 10 a seed.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiment import Method, called
from mr_lesions import TRIAL, Lesions
from taskgan.core.files import write_rows
from taskgan.stats import mean_difference

NO_GAN = "loss.lambda_gan=0"
DIFFERENCES = (("task_gan", "gan"), ("l1_task", "l1"), ("task_gan", "l1"))
MEASURES = ("judge_mae", "lesion_auc", "lesions_found", "lesions_false", "psnr")
READERS = ("task.0.pretrain", "judge")


class SixContrasts(Lesions):
    """Its recipe and methods; no sweep."""

    script = __file__
    source = Path(__file__).with_name("mr-six-lesions.yaml")
    methods = {  # noqa: RUF012
        "l1": Method(("objective=l1",)),
        "gan": Method(("objective=gan",)),
        "task_gan": Method(("objective=task_gan",)),
        "l1_task": Method(("objective=task_gan", NO_GAN)),
    }
    sweeps = {}  # noqa: RUF012
    small = (
        *(change for change in TRIAL if not change.startswith(("task.", "judge."))),
        *(f"{one}.{key}" for one in READERS for key in ("steps=12", "width=4", "validate_every=6")),
        *(f"task.1.{one}.steps=12" for one in ("pretrain", "judge")),
    )
    about = """# Six MR contrasts: does a task network keep the lesions?

All six contrasts are made from one multi-delay multi-echo acquisition; one T marks lesions, another knows the
contrast. `task_gan` is Task-GAN, `gan` the same without T, `l1_task` the same without D (λ = 0), `l1` without both,
`relaxometry` the fit of the physics.

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/mr_six_lesions.py WORK --anatomy BRAINWEB
python experiments/mr_six_lesions.py WORK --publish results/mr-six-lesions
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; differences by contrast in `differences.csv`.
"""

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        super().publish(out, methods, seeds)
        write_differences(out / "cases.csv", out / "differences.csv")


def write_differences(cases: Path, out: Path) -> None:
    """By contrast, paired by subject, seeds averaged: what the reports say of all contrasts together."""
    means = pd.read_csv(cases).groupby(["condition", "method", "subject"])[list(MEASURES)].mean()
    rows = []
    for contrast in means.index.unique("condition"):
        for one, two in DIFFERENCES:
            gaps = means.loc[contrast, one] - means.loc[contrast, two]
            for measure in MEASURES:
                known = gaps[measure].dropna()
                interval = mean_difference(known.to_numpy(), list(known.index)).interval
                about = {"contrast": contrast, "difference": f"{one} − {two}", "measure": measure}
                ends = {name: f"{getattr(interval, name):.4f}" for name in ("estimate", "low", "high")}
                rows.append(about | ends)
    write_rows(out, list(rows[0]), rows)


if __name__ == "__main__":
    called(SixContrasts.main)
