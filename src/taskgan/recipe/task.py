"""Settings of the property that a restoration has to keep, and of the networks that read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from taskgan.core.settings import Settings

Norm = Literal["batch", "instance", "group", "none"]
LossForm = Literal["squared", "proper"]
"""Of the task loss: Eq. 3, or the usual loss of the kind."""


@dataclass(frozen=True)
class KindFacts:
    """What has to be known of a kind of property without computing anything.

    Attributes:
        dense: y has a value for each pixel, so T must answer for each.
        by_class: y is one of a few classes, which sampling can balance.
        partial: Some labels of a case may be unknown (NaN).
        several: y has as many values as the target has columns; all others have one column.
        anchored: y is made of T(x), not read from a table; the column holds names.
        standardised: The target's centre and scale count, and come from the training subjects where it has none.
    """

    dense: bool = False
    by_class: bool = False
    partial: bool = False
    several: bool = False
    anchored: bool = False
    standardised: bool = False


KINDS = {
    "binary": KindFacts(by_class=True),
    "multi_class": KindFacts(by_class=True),
    "multi_label": KindFacts(partial=True, several=True),
    "regression": KindFacts(standardised=True),
    "segmentation": KindFacts(dense=True),
    "embedding": KindFacts(anchored=True),
}
"""Every kind of property; the class of each is in the file of its name in ``taskgan.objective.kinds``."""


@dataclass(frozen=True)
class NetworkFacts:
    """What has to be known of a network that reads the property without building it.

    Attributes:
        builder: Module of ``taskgan.networks`` and what is called in it, ``module:name``.
        options: Arguments of the builder beside those that all have.
        dense: It answers for every pixel.
        released: Somebody else trained it.
        own: A file of the user's own, for any kind of property.
        closed_form: It learns in closed form, without steps.
        descriptor: Length of its descriptor in widths, where that is the network's own.
        files: What it is read from, where somebody else trained it.
    """

    builder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dense: bool = False
    released: bool = False
    own: bool = False
    closed_form: bool = False
    descriptor: int | None = None
    files: str = ""


NETWORKS = {
    "resnet18": NetworkFacts("recogniser:ResNet", {"blocks": 2}),
    "resnet10": NetworkFacts("recogniser:ResNet", {"blocks": 1}),
    "patch": NetworkFacts("discriminator:PatchClassifier"),
    "convnet": NetworkFacts("recogniser:ConvNet"),
    "ir": NetworkFacts("recogniser:ImprovedResNet"),
    "ir_se": NetworkFacts("recogniser:ImprovedResNet", {"squeeze": True}),
    "gradients": NetworkFacts("gradients:OrientedGradients", closed_form=True),
    "unet": NetworkFacts("recogniser:PixelUNet", dense=True),
    "dilated": NetworkFacts("recogniser:DilatedNet", dense=True),
    "vgg_face": NetworkFacts(
        "photos:VggFaceRecogniser", released=True, descriptor=64, files="vgg_face_dag.pth or vgg-face.mat"
    ),
    "dlib": NetworkFacts(
        "photos:DlibFaceRecogniser", released=True, descriptor=2, files="dlib_face_recognition_resnet_model_v1.dat"
    ),
    "program": NetworkFacts(
        "programs:OwnNetwork", released=True, own=True, files="a file that torch.export.save wrote"
    ),
    "onnx": NetworkFacts("programs:OwnNetwork", released=True, own=True, files="an ONNX file"),
}
"""Every network that can be T or a judge."""
IR_HINT = "without that file, network: ir trains a recogniser of faces on the cohort's own training subjects instead"
"""What to do where a released network cannot be had."""


def as_text(value: object) -> object:
    """YAML reads 32 as a number; as a precision it is a name."""
    return str(value) if type(value) is int else value


def as_names(value: object) -> object:
    """A single name may be written without brackets."""
    return (value,) if isinstance(value, str) else value


def _known_network(name: str) -> str:
    if name not in NETWORKS:
        raise ValueError(f"no network of that name, expected one of {', '.join(NETWORKS)}")
    return name


def _one_of(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


class Augment(Settings):
    """Random changes of training images, the same for both images and all channels of a pair.

    Attributes:
        flip: Mirror left and right (first in-plane axis) with probability 1/2.
        shift: Largest translation in voxels along each in-plane axis.
        rotate: Largest rotation in degrees.
        zoom: Largest relative change of size, e.g. 0.05.
        preserve: ``sum``, of counts: zeros come in at the frame, and rotation and zoom divide by the Jacobian, so
            that a slice keeps its sum: activity is moved, neither made nor lost. ``value``, of photos: a pixel keeps
            its brightness, and the edge is repeated where something comes in.
        contrast: Largest relative change of an image's deviations from its mean.
        brightness: Largest addition to all pixels, in network units.
        blur: Largest SD of a Gaussian blur in pixels, so that a recogniser learns from coarse images too.
        erase: Largest share of the frame that a rectangle of the image's mean hides, in every second image.
    """

    flip: bool = True
    shift: int = Field(default=4, ge=0)
    rotate: float = Field(default=0.0, ge=0, le=45)
    zoom: float = Field(default=0.0, ge=0, lt=0.5)
    preserve: Literal["sum", "value"] = "sum"
    contrast: float = Field(default=0.0, ge=0, lt=1)
    brightness: float = Field(default=0.0, ge=0, le=1)
    blur: float = Field(default=0.0, ge=0, le=16)
    erase: float = Field(default=0.0, ge=0, lt=1)


class ProgramInput(Settings):
    """How slices are shown to a program of one's own: (scale · x − mean) / divide, x in network units.

    Attributes:
        size: Rows and columns that it wants (bilinear, with anti-aliasing); None shows slices as they are.
        scale: By which network units are multiplied first, e.g. 255.
        mean: What is taken off then: of all channels, or of each.
        divide: By what that is divided, likewise.
        channels: The slice is repeated so many times.
        upright: The program's rows run downwards, as a photo's do; a slice's first axis runs from left to right.
    """

    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    divide: tuple[float, ...] = (1.0,)
    channels: int = Field(default=1, ge=1, le=64)
    upright: bool = False

    @model_validator(mode="after")
    def _channels_agree(self) -> "ProgramInput":
        for name in ("mean", "divide"):
            if len(values := getattr(self, name)) not in (1, self.channels):
                raise ValueError(f"input.{name} has {len(values)} numbers, expected 1 or channels, {self.channels}")
        if 0 in (*self.divide, self.scale):
            raise ValueError("input.divide and input.scale hold a 0, expected other numbers")
        return self


class RecogniserSettings(Settings):
    """A network that reads the property from one slice: the task network T, or a judge.

    Attributes:
        network: ``resnet18`` (the paper's T for PET), ``resnet10`` (half of it), ``patch`` (the paper's T for MR
            contrasts), ``convnet`` (plain strided convolutions, of another family, for the judge), ``ir`` and
            ``ir_se`` (for faces), ``gradients`` (for faces: oriented gradients and a discriminant that is fitted in
            closed form, so that nothing about width or steps counts). Of every pixel, for ``segmentation``: ``unet``,
            ``dilated`` (another family, for the judge). ``vgg_face`` (the paper's T for faces) and
            ``dlib`` (another one for faces) are read from ``weights`` and learn nothing. Nor do those of one's
            own, for any kind of property: ``program``, a file of ``torch.export``, and ``onnx``, which passes no
            gradient on and so can be a judge, not T.
        weights: Released weights, a path as seen from where the command is given: ``vgg_face_dag.pth``
            or ``vgg-face.mat``; ``dlib_face_recognition_resnet_model_v1.dat``; a file of one's own.
        input: How slices are shown to ``program`` or ``onnx``.
        crop: Square that ``dlib`` sees: its middle from the left and from the top, and its edge, as shares of the
            image's shorter side; what reaches beyond the frame repeats its edge. None is the middle square.
        size: Length of this network's descriptor, where the property is an ``embedding``; None takes the property's
            (see :class:`Target`), ``vgg_face`` (4096) and ``dlib`` (128) their own.
        width: Channels of the first stage (64 is published for ``resnet18``, ``patch``, ``ir`` and ``vgg_face``);
            of ``dlib`` those of the second.
        norm: Normalisation.
        loss: ``squared`` (Eq. 3) or ``proper``, the usual loss of the kind (see :class:`Target`).
        steps: Largest number of optimiser steps. Of ``task.pretrain`` it may be 0: T starts from random weights, and
            the run teaches it.
        batch_size: Slices a step.
        sampling: ``subjects``: every subject equally often, whatever the number of their images. ``images``: every
            image equally often, where many subjects have one image and would else fill the batches.
        lr: Learning rate (Adam, cosine to zero).
        weight_decay: Decoupled (AdamW).
        dropout: Before the head.
        reduce: Edge of the squares of pixels that are averaged into one before the first layer.
        standardise: Give every image mean 0 and SD 1 before the first layer, so that light and contrast matter less.
        discriminant: End in a linear layer that is fitted to the trained network in closed form: where photos of one
            training person differ, a descriptor counts for less (``embedding``; always of ``gradients``).
        precision: Of the arithmetic while it learns: ``32``, ``bf16`` (mixed), or ``auto``, which is
            ``bf16`` where the machine computes in it and ``32`` elsewhere. It always reads in 32 bits.
        validate_every: Steps between readings of the validation subjects.
        patience: Looks without a better validation loss before it stops; 0 never stops early.
        seed: Initial weights and order.
        augment: Random changes of the clean slices.
    """

    network: Annotated[str, AfterValidator(_known_network)] = "resnet18"
    weights: str | None = None
    input: ProgramInput | None = None
    crop: tuple[float, float, Annotated[float, Field(gt=0, le=8)]] | None = None
    size: int | None = Field(default=None, ge=2)
    width: int = Field(default=64, ge=1)
    norm: Norm = "batch"
    loss: LossForm = "proper"
    steps: int = Field(default=2000, ge=0)
    batch_size: int = Field(default=32, ge=1)
    sampling: Literal["subjects", "images"] = "subjects"
    lr: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    reduce: int = Field(default=1, ge=1, le=16)
    standardise: bool = False
    discriminant: bool = False
    precision: Annotated[Literal["32", "bf16", "auto"], BeforeValidator(as_text)] = "32"
    validate_every: int = Field(default=100, ge=1)
    patience: int = Field(default=8, ge=0)
    seed: int = Field(default=0, ge=0)
    augment: Augment = Augment(flip=True, shift=4, rotate=8.0, zoom=0.05)

    @property
    def facts(self) -> NetworkFacts:
        """What is known of its network without building it."""
        return NETWORKS[self.network]

    @model_validator(mode="after")
    def _preparation_fits(self) -> "RecogniserSettings":
        if self.facts.released and (self.reduce > 1 or self.standardise or self.discriminant):
            raise ValueError(
                f"network is {self.network}, which prepares images as its authors do; expected reduce 1, standardise "
                "false and discriminant false"
            )
        if self.facts.dense and (self.reduce > 1 or self.discriminant):
            raise ValueError(
                f"network is {self.network}, which answers for every pixel; expected reduce 1 and discriminant false"
            )
        return self

    @model_validator(mode="after")
    def _weights_are_named(self) -> "RecogniserSettings":
        if self.facts.released and not self.weights:
            hint = "" if self.facts.own else f"; {IR_HINT}"
            raise ValueError(
                f"network is {self.network} but weights is missing, expected the path of "
                f"{NETWORKS[self.network].files}{hint}"
            )
        if self.input is not None and not self.facts.own:
            raise ValueError(
                f"input is set but network is {self.network}; expected network program or onnx, or no input"
            )
        if self.crop and self.network != "dlib":
            raise ValueError(f"network is {self.network}, which prepares images its own way; expected no crop")
        if self.network == "dlib" and self.width % 2:
            raise ValueError(f"network is dlib with width {self.width}, expected an even one (64 is published)")
        if self.weights and not self.facts.released:
            raise ValueError(
                f"weights is {self.weights} but network is {self.network}, which is trained here; expected network "
                f"{_one_of([n for n, facts in NETWORKS.items() if facts.released])}, or no weights"
            )
        return self


class Target(Settings):
    """The property y that a restoration has to keep.

    Attributes:
        kind: ``binary``, ``multi_class``, ``multi_label``, ``regression``, ``segmentation`` or ``embedding``: a file
            of ``taskgan.objective.kinds``, which says what ``squared`` and ``proper`` are for it.
        labels: Columns of ``pairs.csv`` that hold y: several for ``multi_label``, one of masks for
            ``segmentation``, one of names (such as ``subject``) for ``embedding``. Empty takes ``label``.
        classes: Number of classes (``multi_class``; ``segmentation``, where class 0 is the background).
        size: Length of the descriptor (``embedding``).
        margin: By how much the right identity must win while T is pretrained (``embedding``): a cosine, or an angle
            in radians; CosFace prints 0.35, ArcFace 0.5.
        margin_form: ``cosine`` (CosFace) or ``angular`` (ArcFace).
        margin_scale: s, by which cosines are multiplied before the softmax (``embedding``; published 64). A few
            identities want less, and at least ln(identities · 9) if a right answer is to reach 0.9.
        centre: Value that T calls 0 (``regression``); None takes the mean over the training subjects.
        scale: Difference that T calls 1 (``regression``); None takes the SD over the training subjects.
        cut: Value from which a case counts as positive (``regression``; None decides nothing); largest distance of
            two descriptors of one identity (``embedding``; None takes what tells the validation subjects apart
            best).
    """

    kind: str = "binary"
    labels: Annotated[tuple[str, ...], BeforeValidator(as_names)] = ()
    classes: int = Field(default=2, ge=2)
    size: int = Field(default=64, ge=2)
    margin: float = Field(default=0.2, ge=0, lt=1)
    margin_form: Literal["cosine", "angular"] = "cosine"
    margin_scale: float = Field(default=16.0, gt=0, le=1000)
    centre: float | None = None
    scale: float | None = Field(default=None, gt=0)
    cut: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold y."""
        return self.labels or ("label",)

    @property
    def facts(self) -> KindFacts:
        """What is known of the kind."""
        return KINDS[self.kind]

    @model_validator(mode="after")
    def _kind_is_there(self) -> "Target":
        if self.kind not in KINDS:
            raise ValueError(f"task.kind is {self.kind!r}, expected one of {', '.join(KINDS)}")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"task.labels are {', '.join(self.labels)}: expected each once")
        if len(self.columns) != 1 and not self.facts.several:
            raise ValueError(
                f"kind {self.kind} has one column of labels, got {', '.join(self.columns)}; "
                "several are of kind multi_label"
            )
        if self.facts.dense and self.columns == ("label",):  # it holds numbers
            raise ValueError(f"kind {self.kind} needs task.labels, the image column of its masks")
        return self


def descriptor_size(network: RecogniserSettings, target: Target) -> int:
    """Length of a network's descriptor: its own, or the property's."""
    own = NETWORKS[network.network].descriptor
    return own * network.width if own is not None else network.size or target.size


def check_network(network: RecogniserSettings, target: Target, where: str) -> None:
    """Masks want a network that answers for every pixel, all else one that answers for the image.

    Raises:
        ValueError: If the network is of the other sort, or gives descriptors that nobody asked for; ``where`` names
            its place in the recipe.
    """
    dense = target.facts.dense
    if network.facts.own:
        return
    if network.facts.dense != dense:
        expected = _one_of([name for name, n in NETWORKS.items() if n.dense == dense and not n.released])
        raise ValueError(f"{where}.network is {network.network}, expected {expected} for kind {target.kind}")
    if target.kind == "embedding":
        return
    if network.facts.closed_form or network.discriminant:
        what = f"network is {network.network}" if network.facts.closed_form else "discriminant is true"
        raise ValueError(
            f"{where}.{what}, which is fitted to identities; expected task.kind embedding, found {target.kind}"
        )
    if network.facts.released:
        raise ValueError(
            f"{where}.network is {network.network}, which tells identities; expected task.kind embedding, found "
            f"{target.kind}"
        )
    if network.size is not None:
        raise ValueError(f"{where}.size is {network.size}, a length of descriptors, which kind {target.kind} has not")
