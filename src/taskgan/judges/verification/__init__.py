"""Face verification: are two photos of one person? Distances of descriptors, over pairs such as LFW's view 1."""

from taskgan.judges.verification.figures import Verification, VerificationDifference, verification_difference, verify
from taskgan.judges.verification.pairs import (
    ImagePairs,
    auc_difference_by_person,
    auc_interval_by_person,
    bootstrap_by_person,
)
from taskgan.metrics.roc import RocCurve, accuracy, best_threshold, roc_curve

__all__ = [
    "ImagePairs",
    "RocCurve",
    "Verification",
    "VerificationDifference",
    "accuracy",
    "auc_difference_by_person",
    "auc_interval_by_person",
    "best_threshold",
    "bootstrap_by_person",
    "roc_curve",
    "verification_difference",
    "verify",
]
