"""The faces experiment again with dlib's face network as T, which tells faces apart far better than what LFW teaches.

    python experiments/lfw_dlib.py WORK --data LFW                 # every stage, resumes where it was
    python experiments/lfw_dlib.py WORK --publish results/lfw-dlib
    python experiments/lfw_dlib.py TRIAL --data LFW --trial        # every stage once, tiny: no result

``dlib_face_recognition_resnet_model_v1.dat`` lies in WORK (docs/recognisers.md says where it comes from). Stages,
cohort, judges and options are those of ``lfw_faces.py``. T is no judge: the judge is the one that learns from LFW's
training people, and ``lbp`` and ``eigenfaces`` learn no identities. λ = 0 with T is a method of its own.

Minutes of one core: as ``lfw_faces.py``, but T is not trained, and costs 17 ms an image and step.
"""

from experiment import Method, Sweep, called
from lfw_faces import MU, TRIAL, Faces

FILE = "dlib_face_recognition_resnet_model_v1.dat"
# What dlib's aligned chip of 150 pixels shows, in the middle 128 pixels of LFW's deep-funneled photos: the median
# over 250 images of pairsDevTrain by dlib's five points, left upright (the median turn is 1.4°).
CROP = (0.507, 0.577, 0.904)


NO_GAN = "loss.lambda_gan=0"
METHODS = {
    "l1": Method(("objective=l1",)),
    "gan": Method(("objective=gan",)),
    "task_gan": Method(("objective=task_gan",), "sweep-task-gan"),
    "l1_task": Method(("objective=task_gan", NO_GAN), "sweep-l1-task"),
}
SWEEPS = {
    "sweep-task-gan": Sweep(("objective=task_gan",), (MU,)),
    "sweep-l1-task": Sweep(("objective=task_gan", NO_GAN), (MU,)),
}
BESIDE = {"report-l1": ("l1", "l1_task")}


class DlibFaces(Faces):
    """Methods that have T have dlib's."""

    script = __file__
    methods = METHODS
    sweeps = SWEEPS
    beside = BESIDE
    small = tuple(change for change in TRIAL if not change.startswith("task."))
    about = "# 8x super-resolution of faces with dlib's network as T\n\nSee `experiments/lfw_dlib.py`.\n"

    @property
    def changes(self) -> tuple[str, ...]:
        crop = ", ".join(map(str, CROP))
        task = f"task.pretrain={{network: dlib, weights: '{self.work / FILE}', crop: [{crop}], seed: 0}}"
        return *super().changes, task, "task.size=128"


if __name__ == "__main__":
    called(DlibFaces.main)
