"""What a run minimises, and when it counts as diverged: settings of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from taskgan.core.settings import Settings


class Loss(Settings):
    """Weights of Eq. 4 and the form of the adversarial terms.

    Attributes:
        lambda_gan: λ of Eq. 4 (not printed in the paper; the default was chosen on the validation subjects of
            the demo cohort, see ``results/pet-demo-weights``).
        mu_task: μ of Eq. 4 (likewise).
        discriminator: D's own loss: ``bce`` D(x) = 1, D(x̂) = 0; ``hinge``; ``least_squares``.
        feature_layers: Layers of D that Eq. 2 matches, from 0; None is all but the first.
        label_smoothing: D's target for clean images is 1 minus this (``bce`` only).
        coarse: Edges, in pixels (of volumes along all three axes), of the windows over whose means Eq. 1 is taken
            once more, so that a region's level counts by itself; e.g. ``[4, 8]``. Empty has no such term.
        coarse_weight: Of that term, the mean over the edges.
    """

    lambda_gan: float = Field(default=0.3, ge=0)
    mu_task: float = Field(default=0.01, ge=0)
    discriminator: Literal["bce", "hinge", "least_squares"] = "bce"
    feature_layers: tuple[int, ...] | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    coarse: tuple[Annotated[int, Field(ge=2, le=512)], ...] = Field(default=(), max_length=8)
    coarse_weight: float = Field(default=1.0, gt=0)


class Cycle(Settings):
    """What ``cycle_gan`` adds, with the values of Zhu et al. 2017 (10.1109/ICCV.2017.244).

    Its adversarial terms weigh 1 and have the form of ``loss.discriminator`` (theirs is ``least_squares``); λ and
    μ of Eq. 4 play no part in it, and neither does T.

    Where ``generator.residual`` adds the input to the output, both generators start as the identity, which
    costs neither cycle nor identity loss, and 10 |F(G(x̃)) − x̃| has its kink there: G stays there. Measured
    with a small G on 12 simulated PET subjects of 21.2 dB: still 21.2 dB after 600 steps, and after 160 with
    ``identity`` 0 or 5, any gradient clip (1, 10, none) and D by ``bce`` or ``least_squares``; without the
    residual 23.6 dB after 320 steps (GAN, paired: 27.8 dB after 160). So compare with ``generator.residual:
    false`` too. Gradients of G and F are some 25 times the default clip all the time, which Adam makes up
    for: clipping at 1, at 10 and not at all gave the same there.

    Attributes:
        weight: Of the cycle loss.
        identity: Of the identity loss (half of the cycle's there, where it is used: for photographs of paintings,
            to keep their colours); 0 leaves it out.
        buffer: Each D learns from a history of this many generated images beside the newest (Shrivastava et al.
            2017, 10.1109/CVPR.2017.241); 0 shows it the newest alone.
    """

    weight: float = Field(default=10.0, ge=0)
    identity: float = Field(default=5.0, ge=0)
    buffer: int = Field(default=50, ge=0, le=10000)


class DivergenceLimits(Settings):
    """A run is stopped where going on would be a waste. NaN and infinity always stop it.

    A discriminator has won when for ``discriminator_steps`` steps in a row it tells every pair apart (its loss
    is under ``discriminator_loss`` of what guessing costs) *and* G follows it alone without getting anywhere:
    λ·Eq. 2 is more than ``discriminator_share`` of Eq. 1 + λ·Eq. 2, and Eq. 1 does not fall. A sure D by
    itself is no failure here: feature matching goes on teaching where D's logit has long saturated. (With
    ``cycle_gan`` the weighted cycle loss stands in the place of Eq. 1, and G's adversarial loss in that of Eq. 2.)

    Attributes:
        discriminator_loss: See above.
        discriminator_steps: See above; 0 never stops.
        discriminator_share: See above.
        spread: An output whose standard deviation is under this share of the clean images' is constant.
        saturated: An output of bounded images with more than this share of its pixels at a bound is saturated
            (where the clean images have fewer).
        constant_steps: Steps in a row of constant or saturated output that stop a run; 0 never stops.
    """

    discriminator_loss: float = Field(default=0.01, gt=0, le=1)
    discriminator_steps: int = Field(default=1000, ge=0)
    discriminator_share: float = Field(default=0.9, gt=0, lt=1)
    spread: float = Field(default=0.01, ge=0, lt=1)
    saturated: float = Field(default=0.999, gt=0, le=1)
    constant_steps: int = Field(default=200, ge=0)
