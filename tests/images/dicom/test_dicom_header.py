"""What headers say, without files: any object with the attributes will do."""

from types import SimpleNamespace

import pytest

from taskgan.images.dicom.header import complex_part, finder, first_number, scaling, sidecar_fields


class Header(SimpleNamespace):
    """Attributes by keyword, private elements by tag."""

    def get(self, tag):
        return getattr(self, "private", {}).get(tag)


def numbers(scale):
    return scale.slope, scale.intercept


def element(value):
    return SimpleNamespace(value=value)


def test_a_frames_own_group_goes_before_the_shared_one_and_that_before_the_top():
    echo = [Header(EffectiveEchoTime=21.0)]
    header = Header(
        EchoTime=5.0,
        FlipAngle="60",
        RepetitionTime="1",
        PerFrameFunctionalGroupsSequence=[Header(MREchoSequence=echo), Header()],
        SharedFunctionalGroupsSequence=[
            Header(MRTimingAndRelatedParametersSequence=[Header(RepetitionTime="4350", FlipAngle=None)])
        ],
    )
    assert sidecar_fields(finder(header, 0)) == {"RepetitionTime": 4.35, "EchoTime": 0.021, "FlipAngle": 60}
    assert sidecar_fields(finder(header, 1))["EchoTime"] == 0.005
    assert sidecar_fields(finder(header, None))["RepetitionTime"] == 0.001


def test_nothing_of_the_person_is_kept():
    header = Header(PatientName="A^B", StudyDate="20200101", InstitutionName="X", Manufacturer="GE", EchoTime="")
    assert sidecar_fields(finder(header, None)) == {"Manufacturer": "GE"}


@pytest.mark.parametrize(("value", "expected"), [("2.5", 2.5), ([3, 4], 3.0), ([], None), ("x", None), (None, None)])
def test_numbers(value, expected):
    assert first_number(value) == expected


def test_private_scale_as_bytes_of_unknown_type():
    creator = {(0x2005, 0x0010): element("Philips MR Imaging DD 001")}
    private = {**creator, (0x2005, 0x100E): element(b"\x00\x00\x00\x3f")}  # 0.5
    header = Header(Manufacturer="Philips", RescaleSlope=2.0, RescaleIntercept=4.0, private=private)
    find = finder(header, None)
    assert numbers(scaling(header, find, None, "magnitude")) == (2.0, 4.0)
    header = Header(Manufacturer="Philips", RescaleSlope=4.0, RescaleIntercept=8.0, private=private)
    assert numbers(scaling(header, finder(header, None), None, "real")) == (2.0, 4.0)
    assert numbers(scaling(header, finder(header, None), None, "phase")) == (4.0, 8.0)


def test_private_scale_of_a_philips_frame():
    inner = Header(private={(0x2005, 0x0011): element("Philips MR Imaging DD 001"), (0x2005, 0x110E): element(0.25)})
    frame = Header(
        private={(0x2005, 0x0014): element("Philips MR Imaging DD 005"), (0x2005, 0x140F): element([inner])},
        PixelValueTransformationSequence=[Header(RescaleSlope=8.0, RescaleIntercept=0.0)],
    )
    header = Header(Manufacturer="Philips", PerFrameFunctionalGroupsSequence=[frame])
    assert numbers(scaling(header, finder(header, 0), 0, "magnitude")) == (4.0, 0.0)


def test_part_of_an_image_type():
    def told(*words):
        header = Header(ImageType=list(words))
        return complex_part(header, finder(header, None))

    assert told("ORIGINAL", "PRIMARY", "M_SE", "M", "SE") == "magnitude"
    assert told("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "SE") == "phase"
    assert told("DERIVED", "SECONDARY", "MPR") == ""
    assert complex_part(Header(ImageType="ORIGINAL"), finder(Header(ImageType="ORIGINAL"), None)) == ""
