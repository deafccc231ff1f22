"""Three readers click through a study in a real browser; the server is killed in the midst, and no answer is lost."""

import shutil
import signal
from pathlib import Path

from browser import needs_chromium
from driven_browser import DrivenBrowser
from readers_demo import start_server
from small_study import small_study
from taskgan.readers.answers import read_answers
from taskgan.readers.study import read_study

pytestmark = needs_chromium
READY = "document.querySelector('#view canvas') && document.getElementById('message').hidden"
NEXT = "!document.getElementById('next').disabled"


def read_case(browser: DrivenBrowser, number: int) -> None:
    """Decide with keys, grade with the mouse, and wait until both are saved."""
    browser.press("yn"[number % 2])
    browser.press(str(1 + number % 5))
    browser.click(f"#q-quality label:nth-child({1 + number % 5})")
    browser.until(f"{NEXT} && document.getElementById('saved').textContent === 'saved'")


def go_on(browser: DrivenBrowser) -> None:
    """To the next case."""
    before = browser.value("document.getElementById('where').textContent")
    browser.press("Enter")
    browser.until(f"document.getElementById('where').textContent !== {before!r}")
    browser.until(f"{READY} || !document.getElementById('message').hidden")


def test_three_readers_lose_no_answer_when_the_server_is_killed(tmp_path: Path) -> None:
    study = small_study(tmp_path, cases=2, training=0, repeats=1, sessions=1)
    total = len(read_study(study).of_reader("reader-1"))
    process, links = start_server(study)
    port = links[0].split(":")[2].split("/")[0]
    try:
        for reader, link in enumerate(links):
            with DrivenBrowser(tmp_path / f"profile-{reader}") as browser:
                browser.open(link)
                for number in range(total):
                    browser.until(READY)
                    read_case(browser, number + reader)
                    if reader == 1 and number == 2:
                        # Saved and not sent off: the answer has to be there when the server is.
                        process.send_signal(signal.SIGKILL)
                        process.wait()
                        browser.click("#q-artefacts label:nth-child(1)")
                        browser.until("document.getElementById('saved').className === 'bad'")
                        process, _ = start_server(study, "--port", port)
                        browser.until("document.getElementById('saved').textContent === 'saved'")
                    if reader == 2 and number == 1:
                        browser.open(link)  # another machine: what was said is still there
                        browser.until(READY)
                        assert browser.value("document.querySelectorAll('input:checked').length") == 3
                    go_on(browser)
                browser.until("document.getElementById('message').textContent.includes('read all cases')")
                browser.ask("Page.navigateToHistoryEntry", entryId=_first_entry(browser))  # the back button
                browser.until("document.getElementById('message')?.textContent.includes('read all cases')")
    finally:
        process.kill()
        process.wait()
    frame = read_answers(read_study(study))
    assert len(frame) == 3 * total
    for reader, mine in enumerate(frame.groupby("reader", sort=True)):
        rows = mine[1].sort_values("place")
        assert list(rows["decision"]) == [float((n + reader) % 2 == 0) for n in range(total)]
        assert list(rows["confidence"]) == [1 + (n + reader) % 5 for n in range(total)]
        assert list(rows["quality"]) == [1 + (n + reader) % 5 for n in range(total)]
        assert (rows["seconds"] > 0).all()
    assert list(frame.loc[frame["artefacts"] != "", "reader"]) == ["reader-2"]


def _first_entry(browser: DrivenBrowser) -> int:
    entries = browser.ask("Page.getNavigationHistory")["entries"]
    return int(next(one["id"] for one in entries if one["url"].startswith("http")))


def test_planes_are_linked_and_marks_are_places_in_the_image(tmp_path: Path) -> None:
    form = tmp_path / "lesions.yaml"
    shutil.copy(Path(__file__).parents[2] / "src/taskgan/readers/forms/lesions.yaml", form)
    form.write_text(form.read_text().replace("masks: lesions", "masks: cortex"))
    study = small_study(tmp_path, cases=2, training=2, repeats=0, sessions=1, form=str(form))
    process, links = start_server(study)
    try:
        with DrivenBrowser(tmp_path / "profile") as browser:
            browser.open(links[0])
            browser.until(READY)
            assert browser.value("document.querySelectorAll('#view canvas').length") == 3
            # The right of the screen is the patient's left, and up is the front.
            browser.click("#view canvas:last-of-type", times=2, at=(0.25, 0.1))
            browser.until("answers.marks?.length === 1")
            x, y, _ = browser.value("answers.marks[0]")
            assert (x, y) == (27, 39)
            assert browser.value("viewer.cross[0] === 27 && viewer.cross[1] === 39")
            before = browser.value("viewer.cross[2]")
            browser.press("ArrowUp")
            assert browser.value("viewer.cross[2]") == before + 1
            browser.press("]")
            assert browser.value("viewer.window[1] - viewer.window[0] > viewer.first[1] - viewer.first[0]")
            browser.press("m")
            browser.until("answers.marks.length === 2")
            browser.press("u")
            browser.until("answers.marks.length === 1")
            browser.press("y")
            browser.click("#q-decision input[type=range]", at=(0.9, 0.5))
            browser.click("#q-quality label:nth-child(2)")
            browser.until(f"{NEXT} && !waiting.size")
            browser.click("#next")
            browser.until("!document.getElementById('feedback').hidden")
            assert browser.value("viewer.truth.length") >= 1
            browser.press("Enter")
            browser.until("document.getElementById('where').textContent.includes('case 2')")
    finally:
        process.kill()
        process.wait()
