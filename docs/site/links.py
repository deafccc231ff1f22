"""Check a built site: every link leads to a file and an anchor of it, and nothing is fetched from elsewhere."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
NO_FILE = {"canonical", "next", "prev", "alternate"}


class Page(HTMLParser):
    """The anchors of a page, its links, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        for name in ("src", "href"):
            if (tag, name) in FETCHED and name in values and values.get("rel") not in NO_FILE:
                self.fetched.append(values[name])


def problems(site: Path) -> list[str]:
    """What is wrong, a sentence each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    wrong = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are those of a server's root
            continue
        name = path.relative_to(site)
        wrong += [f"{name} fetches {link}" for link in page.fetched if "://" in link or link.startswith("//")]
        for link in [*page.links, *page.fetched]:
            target, anchor = urldefrag(link)
            if "://" in link or link.startswith(("mailto:", "data:", "javascript:")):
                continue
            place = (path.parent / unquote(target)).resolve() if target else path
            place = place / "index.html" if place.is_dir() else place
            if not place.exists():
                wrong.append(f"{name}: {link} is not there")
            elif anchor and place in pages and unquote(anchor) not in pages[place].anchors:
                wrong.append(f"{name}: {link} has no such anchor")
    return wrong


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    if found:
        sys.exit("\n".join(found))
    sys.stdout.write(f"{sys.argv[1]}: all links lead somewhere, nothing is fetched\n")
