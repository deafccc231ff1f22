"""MR lesions: T2-FLAIR from one multi-delay multi-echo acquisition, with a task network that marks lesions.

    python experiments/mr_lesions.py WORK --anatomy BRAINWEB                    # every stage, resumes where it was
    python experiments/mr_lesions.py WORK --stage train --stage judge --seeds 0
    python experiments/mr_lesions.py WORK --publish results/mr-lesions  # tables, figures, lesions.png
    python experiments/mr_lesions.py TRIAL --anatomy BRAINWEB --trial           # every stage once, tiny: no result

Test heads are never seen in training. μ is chosen by ``taskgan sweep`` on the validation subjects before any test
image is restored, once, for Task-GAN, and serves T beside L1 as well; λ is .03 in GAN and Task-GAN. T (a U-Net,
frozen) and the judge (a dilated network of another seed) learn on clean images of the training subjects; the matched
filter that counts lesions is no network.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiment import Experiment, Method, Sweep, called, complete

COHORT: dict[str, Any] = {"subjects": 48, "patients": 0.85, "tumours": 0.0}
PHYSICS = "relaxometry"
CONTRAST = "T2-FLAIR"  # of the picture, where there are several
METHODS = {
    "l1": Method(("objective=l1",)),
    "gan": Method(("objective=gan",)),
    "task_gan": Method(("objective=task_gan",), "sweep-task-gan"),
    "l1_task": Method(("objective=task_gan",), "sweep-task-gan"),
}
SWEEPS = {"sweep-task-gan": Sweep(("objective=task_gan",), ("loss.mu_task=0.003,0.01,0.03",), ("objective=gan",))}
TRIAL_COHORT: dict[str, Any] = {"subjects": 20, "pixels": 64, "slices": 4}
TRIAL = (
    "generator={width: 8, max_width: 16, depth: 3, norm: instance, dropout_layers: 1}",
    "discriminator={widths: [8, 8, 8], norm: instance}",
    "loss.feature_layers=[1, 2]",
    *(f"{one}.{key}" for one in ("task.pretrain", "judge") for key in ("steps=12", "width=4", "validate_every=6")),
    *(f"{key}=12" for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")),
)
_ABOUT = """# MR lesions: does a task network keep them?

T2-FLAIR images are made from one multi-delay multi-echo acquisition; T marks lesions. `task_gan` is Task-GAN,
`gan` the same without T, `l1_task` the same without D (λ = 0), `l1` without both, `relaxometry` the fit of
the physics.

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/mr_lesions.py WORK --anatomy BRAINWEB
python experiments/mr_lesions.py WORK --publish results/mr-lesions
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; the choice of μ on validation subjects in `sweep-task-gan/`.
"""


class Lesions(Experiment):
    """Its folders, recipes and stages."""

    script = __file__
    data = ("--anatomy", "with BrainWeb's tissue files")
    source = Path(__file__).with_name("mr-lesions.yaml")
    methods = METHODS
    untrained = (PHYSICS,)
    sweeps = SWEEPS
    sweep_steps = 250
    within = 0.3
    beside = {"report-l1": ("l1", "l1_task", "task_gan")}  # noqa: RUF012
    small = TRIAL
    about = _ABOUT

    def _weights(self, sweep: str) -> list[str]:
        return [change for change in super()._weights(sweep) if not change.startswith("loss.lambda")]

    def recipe(self, name: str, seed: int, further: Sequence[str] = ()) -> Any:
        return super().recipe(name, seed, [*further, *(["loss.lambda_gan=0"] if name == "l1_task" else [])])

    def make_cohort(self, folder: Path) -> None:
        from taskgan.simulate.mr.cohort import simulate_mr
        from taskgan.simulate.mr.settings import mr_simulation

        simulate_mr(self.cohort, mr_simulation(anatomy=folder, **COHORT | (TRIAL_COHORT if self.trial else {})))

    def judge(self, method: str, seed: int) -> None:
        """The physics' images come from no run."""
        from taskgan.relaxometry.files import restore_by_relaxometry

        restored = self.run(method, seed) / "restored"
        if method == PHYSICS and not complete(restored):
            restore_by_relaxometry([self.cohort / "pairs.csv"], restored, recipe=self.base(), split="test")
        super().judge(method, seed)

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        super().publish(out, methods, seeds)
        self.picture(out / "lesions.png", seeds[0])

    def picture(self, path: Path, seed: int) -> None:
        """The patient with the median number of lesions that the filter finds in L1's images, at the slice that holds
        most of them: clean, physics, L1, GAN, Task-GAN, and the middle of the lesions enlarged."""
        from taskgan.images.volumes import read_volume
        from taskgan.page.style import axes_figure, save_figure

        evaluation = self.run("l1", seed) / "evaluation"
        with (evaluation / "cases.csv").open(newline="") as handle:
            rows = [r for r in csv.DictReader(handle) if r["method"] == "l1" and float(r["lesions_true"] or 0) > 0]
        rows = [row for row in rows if row["condition"] in ("", CONTRAST)]
        rows.sort(key=lambda r: (float(r["lesions_found"] or 0) / float(r["lesions_true"]), r["case"]))
        row = rows[len(rows) // 2]
        titles = {"clean": "clean", PHYSICS: "fit of the physics", "l1": "L1", "gan": "GAN", "task_gan": "Task-GAN"}
        files = {"clean": evaluation / row["clean"]}
        for name in [PHYSICS, "l1", "gan", "task_gan"]:
            folder = self.run(name, 0 if name == PHYSICS else seed) / "restored"
            files[name] = next(folder.rglob(f"*{row['case']}*.nii.gz"))
        mask = np.asarray(read_volume(evaluation / row["lesions"]).data) > 0
        z = int(mask.sum(axis=(0, 1)).argmax())
        x, y = (int(np.median(index)) for index in np.nonzero(mask[..., z]))
        half = 20
        corner = [min(max(c - half, 0), size - 2 * half) for c, size in zip((x, y), mask.shape[:2], strict=True)]
        window = tuple(slice(c, c + 2 * half) for c in corner)
        images = {name: np.asarray(read_volume(file).data)[..., z] for name, file in files.items()}
        top = float(np.quantile(images["clean"], 0.998))
        with axes_figure(2, len(images), (2.05 * len(images), 4.4)) as (figure, axes):
            for (name, image), column in zip(images.items(), axes.T, strict=True):
                for axis, part in zip(column, (image, image[window]), strict=True):
                    axis.imshow(part.T, cmap="gray", vmin=0, vmax=top, origin="lower", interpolation="nearest")
                    axis.set_xticks([])
                    axis.set_yticks([])
                column[0].set_title(titles[name])
                outline = mask[..., z][window].T if name == "clean" else None
                if outline is not None:
                    column[1].contour(outline, levels=[0.5], colors="#E69F00", linewidths=0.8)
            save_figure(figure, path)


if __name__ == "__main__":
    called(Lesions.main)
