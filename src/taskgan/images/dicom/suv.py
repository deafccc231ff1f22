"""Body-weight SUV of a PET series, or why there is none (QIBA's vendor-neutral rules; 10.2967/jnumed.107.051490)."""

from datetime import datetime, timedelta
from typing import Any

from taskgan.core.errors import UserError
from taskgan.images.dicom.classic import classic_header
from taskgan.images.dicom.header import first_number, header_text, moment
from taskgan.images.dicom.series import ENHANCED_PT, PT, Series

_PHILIPS = (0x7053, "Philips PET Private Group")
_PHILIPS_SUV, _PHILIPS_BQML = 0x00, 0x09
_GE = (0x0009, "GEMS_PETD_01")
_GE_SCAN = 0x0D


def suv_factor(series: Series) -> float:
    """What a value of the series is multiplied with to be a body-weight SUV, g/ml.

    A UserError where headers do not say what that takes; the message is the end of a sentence.
    """
    if series.first.sop_class not in (PT, ENHANCED_PT):
        raise UserError("it is no PET series")
    try:
        headers = [classic_header(frame) for frame in series.frames]
    except UserError as error:
        raise UserError(f"it {error}") from None
    first = headers[0]
    units = header_text(first, "Units")
    if units == "GML" and str(getattr(first, "SUVType", "BW") or "BW") == "BW":
        return 1.0
    if units == "CNTS" and (factor := _private_number(first, *_PHILIPS, _PHILIPS_SUV)):
        return factor
    activity = 1.0 if units == "BQML" else None
    if units == "CNTS":
        activity = _private_number(first, *_PHILIPS, _PHILIPS_BQML)
    if not activity:
        raise UserError(
            f"its Units are {units or 'not said'}, expected BQML, GML, or CNTS with Philips' private factors"
        )
    corrected = set(getattr(first, "CorrectedImage", None) or ())
    if lacking := sorted({"ATTN", "DECY"} - corrected):
        raise UserError(f"its CorrectedImage lacks {' and '.join(lacking)}")
    weight = first_number(getattr(first, "PatientWeight", None))
    if not weight:
        raise UserError("it has no PatientWeight")
    drug = next(iter(getattr(first, "RadiopharmaceuticalInformationSequence", None) or ()), None)
    dose = first_number(getattr(drug, "RadionuclideTotalDose", None))
    if not dose:
        raise UserError("it has no RadionuclideTotalDose")
    return activity * weight * 1000 / (dose * _decay(headers, drug))


def _decay(headers: list[Any], drug: Any) -> float:
    """Share of the injected activity that is left at the time to which values are decay-corrected."""
    reference = header_text(headers[0], "DecayCorrection")
    if reference == "ADMIN":
        return 1.0
    if reference != "START":
        raise UserError(f"its DecayCorrection is {reference or 'not said'}, expected START or ADMIN")
    half_life = first_number(getattr(drug, "RadionuclideHalfLife", None))
    if not half_life:
        raise UserError("it has no RadionuclideHalfLife")
    start = _start(headers)
    injected = moment(header_text(drug, "RadiopharmaceuticalStartDateTime"))
    if injected is None:
        clock = header_text(drug, "RadiopharmaceuticalStartTime")
        injected = moment(f"{start:%Y%m%d}{clock}") if clock else None
        if injected is not None and injected > start:  # before midnight
            injected -= timedelta(days=1)
    if injected is None:
        raise UserError("it has no time of injection (RadiopharmaceuticalStartDateTime or -StartTime)")
    seconds = (start - injected).total_seconds()
    if not 0 <= seconds < 24 * 3600:
        raise UserError(f"its injection is {seconds / 3600:.1f} hours before its scan, expected 0 to 24")
    return float(2 ** (-seconds / half_life))


def _start(headers: list[Any]) -> datetime:
    """Start of the scan: SeriesTime unless it was made anew later than the first acquisition, as some systems do."""
    series = moment(header_text(headers[0], "SeriesDate") + header_text(headers[0], "SeriesTime"))
    acquired = [moment(header_text(one, "AcquisitionDate") + header_text(one, "AcquisitionTime")) for one in headers]
    known = [when for when in acquired if when is not None]
    if series is not None and known and series <= min(known):
        return series
    scan = moment(str(_private(headers[0], *_GE, _GE_SCAN) or ""))
    if scan is None:
        raise UserError("its SeriesTime is later than its first AcquisitionTime, or one of them is missing")
    return scan


def _private(header: Any, group: int, creator: str, element: int) -> Any:
    try:
        return header.private_block(group, creator)[element].value
    except KeyError:
        return None


def _private_number(header: Any, group: int, creator: str, element: int) -> float | None:
    return first_number(_private(header, group, creator, element))
