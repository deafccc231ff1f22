import pytest

from taskgan.core.errors import UserError
from taskgan.prepare.output import name_problems, participant
from taskgan.prepare.table import read_table


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_commas_semicolons_and_tabs(tmp_path, mark):
    text = f"subject{mark} path {mark}note\r\nA{mark} a.nii {mark}\r\n\r\n{mark}{mark}\nB{mark}b.nii\n"
    table = read_table(write(tmp_path / "t.csv", text, "utf-8-sig"), ("subject", "path"))
    assert table.columns == ("subject", "path", "note")
    assert [(line.number, line["subject"], line["path"], line["note"], line["age"]) for line in table.lines] == [
        (2, "A", "a.nii", "", ""),
        (5, "B", "b.nii", "", ""),
    ]
    assert table.path("a.nii") == tmp_path / "a.nii"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lacks the columns subject, path; found no header"),
        ("subject,file\nA,a\n", "lacks the column path; found subject, file"),
        ("subject,path\n", "has a header but no rows"),
        ("subject,path,path\nA,a,b\n", "has two columns 'path'"),
        ("subject,path\nA,a\nB,b,c\n", "row 3 has more fields than the header"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, expected):
    with pytest.raises(UserError, match=expected):
        read_table(write(tmp_path / "t.csv", text), ("subject", "path"))


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(UserError, match="does not exist; expected a table"):
        read_table(tmp_path / "no.csv", ("subject",))
    with pytest.raises(UserError, match="cannot be read as a table"):
        read_table(write(tmp_path / "t.csv", "subject\nÄ\n", "latin-1"), ("subject",))


def test_participants():
    assert participant("P-01") == participant("sub-P01") == "sub-P01"
    assert name_problems(["a", "b", "sub-c"]) == []
    assert name_problems(["A_1", "a1", "--"]) == [
        "subject '--' has no letter or digit",
        "subjects 'A_1' and 'a1' would both be called sub-a1",
    ]
