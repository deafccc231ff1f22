import pytest

from taskgan.core.errors import UserError
from taskgan.report.metrics import METRICS, Inference, parse_inference


def test_margins_and_correction_are_read() -> None:
    found = parse_inference(["psnr=0.5", "suvr=2e-2"], "benjamini-hochberg")
    assert found.margins == {"psnr": 0.5, "suvr": 0.02}
    assert found.correction == "benjamini-hochberg"
    assert parse_inference() == Inference()


def test_margins_of_the_field_have_names() -> None:
    found = parse_inference(["suvr=qiba", "suvr_calibrated=centiloid"]).margins
    assert found["suvr"] == pytest.approx(0.0194 * 1.38)
    assert found["suvr_calibrated"] == pytest.approx(8 / 153.4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psnr", "--margin psnr: found '', expected a positive number"),
        ("psnr=much", "found 'much', expected a positive number"),
        ("psnr=-1", "found '-1'"),
        ("psnr=nan", "found 'nan'"),
        ("psnr=inf", "found 'inf'"),
        ("0.5", "expected MEASURE=NUMBER, e.g. psnr=0.5, with a measure of psnr, ssim"),
        ("suvr_error=1", "suvr, task_auc"),
    ],
)
def test_bad_margins_are_named(text: str, expected: str) -> None:
    with pytest.raises(UserError, match="--margin") as told:
        parse_inference([text])
    assert expected in str(told.value)


def test_a_margin_stated_twice_and_an_unknown_correction() -> None:
    with pytest.raises(UserError, match=r"psnr already has the margin 0\.5"):
        parse_inference(["psnr=0.5", "psnr=1"])
    with pytest.raises(UserError, match="--correction bonferroni: expected one of holm, benjamini-hochberg, none"):
        parse_inference([], "bonferroni")


def test_measures_have_names_of_their_own() -> None:
    assert len({m.name for m in METRICS}) == len({m.key for m in METRICS}) == len(METRICS)
