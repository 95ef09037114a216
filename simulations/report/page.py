"""A page that is one file: no network, no foreign code, nothing in it that a name could bring to life."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from simulations.report.markup import Markup, joined, tag, void

Section = tuple[str, Markup]
"""(heading, inside)"""


@dataclass(frozen=True, slots=True)
class Page:
    """A report's parts, from the answer down to what it rests on."""

    title: str
    """What the browser's tab says."""
    headline: str
    """The answer in one sentence."""
    sentences: Sequence[str]
    sections: Sequence[Section]
    tiles: Sequence[tuple[str, str]] = ()
    """(name, figure) at the top."""


def html(page: Page) -> str:
    """The page.  Its policy lets exactly its own style and script run, and nothing be fetched."""
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="referrer", content="no-referrer"),
        tag("title", page.title),
        tag("style", style),
    )
    body = tag("body", tag("main", _header(page), *_sections(page.sections)), tag("script", script))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def write(path: Path, page: Page) -> None:
    """Writes the page.  Raises `ValueError` if it cannot be written."""
    try:
        path.write_text(html(page), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"report: {path} cannot be written: {error.strerror}") from None


def check(path: Path) -> None:
    """Raises `ValueError` for a page that could not be written, before hours are spent."""
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ValueError(f"report: expected a file named .html, got {path}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"report: {path} cannot be written: there is no such folder")


def _header(page: Page) -> Markup:
    tiles = [tag("div", tag("dt", name), tag("dd", figure)) for name, figure in page.tiles]
    return tag(
        "header",
        tag("h1", page.headline),
        *(tag("p", sentence) for sentence in page.sentences),
        tag("dl", *tiles, class_="tiles") if tiles else None,
    )


def _sections(sections: Iterable[Section]) -> Iterable[Markup]:
    for heading, inside in sections:
        yield joined(tag("section", tag("h2", heading), inside))


def _part(name: str) -> Markup:
    """The style or the script, as it is in the package."""
    return Markup(files("simulations.report").joinpath(name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
