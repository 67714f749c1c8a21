"""The live page's files: what is served, how, and what must not be in them (DESIGN §8)."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from sendledger.edges.api import page
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "dashboards" / "page"
OURS = sorted(
    path for path in FOLDER.rglob("*") if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
)
FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\(|new Function|"
    r"\.setAttribute\(\"style\"|javascript:|\bstyle=|\son\w+=\"|<script(?! type=\"module\" src=\"page/)|<style|@import|"
    r"url\("
)
VENDOR = FOLDER / "vendor" / "uplot"


async def test_the_page_is_served_with_a_strict_policy(bench: Bench) -> None:
    """Nothing inline, nothing from elsewhere, in nobody's frame; each file says what it is and is asked for again."""
    for path in ("/", "/page/main.js", "/page/page.css", "/page/icon.svg", "/page/vendor/uplot/uPlot.esm.js"):
        answer = await ask(bench.app, "GET", path)
        assert answer.status == 200, path
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy.pop("default-src") == "'none'"
        assert policy.pop("frame-ancestors") == policy.pop("base-uri") == policy.pop("form-action") == "'none'"
        assert policy.pop("require-trusted-types-for") == "'script'"
        assert policy.pop("trusted-types") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-type"].partition(";")[0] in MEDIA[Path(path).suffix]


MEDIA = {
    "": {"text/html"},
    ".js": {"text/javascript"},
    ".css": {"text/css"},
    ".svg": {"image/svg+xml"},
}


async def test_what_a_browser_has_is_not_sent_again(bench: Bench) -> None:
    """The ETag is the content's: the same file is 304, a changed one comes whole."""
    first = await ask(bench.app, "GET", "/page/main.js")
    again = await ask(
        bench.app, "GET", "/page/main.js", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'}
    )
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    other = await ask(bench.app, "GET", "/page/main.js", headers={"if-none-match": '"other"'})
    assert (other.status, other.body) == (200, first.body)


ELSEWHERE = (
    "/page/",
    "/page/nothing.js",
    "/page/../streams/sendledger/config.py",
    "/page/%2e%2e/README.md",
    "/page/vendor/uplot/README.md",
    "/page//etc/passwd",
    "/main.js",
)


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_nothing_else_is_served(bench: Bench, path: str) -> None:
    """A path that is no file of the page leads nowhere."""
    answer = await ask(bench.app, "GET", path)
    assert (answer.status, answer.kind) == (404, "not-found")


def test_a_page_that_is_not_there_is_told(tmp_path: Path) -> None:
    """An installation without the page's files does not start, and names the place."""
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        page.read(tmp_path)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_file_makes_markup_of_text_or_goes_elsewhere(path: Path) -> None:
    """No innerHTML and its kin, no inline script or style, no foreign address, at most 300 lines."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(FORBIDDEN, text) == []
    assert [
        found for found in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"]*", text) if "www.w3.org" not in found
    ] == []
    assert len(text.splitlines()) <= 300


def test_every_module_that_is_imported_is_there() -> None:
    """Each import names a file of the page."""
    for path in OURS:
        for name in re.findall(r"from \"([^\"]+)\"", path.read_text(encoding="utf-8")):
            assert (path.parent / name).is_file(), f"{path.name}: {name}"


def test_what_is_others_is_unchanged() -> None:
    """The vendored files have the hashes that stand beside them, and their licence is there."""
    told = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text(encoding="utf-8")))
    assert set(told) == {path.name for path in VENDOR.iterdir()} - {"README.md"}
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in told} == told
    assert "Permission is hereby granted, free of charge" in (VENDOR / "LICENSE").read_text(encoding="utf-8")


def test_the_wheel_has_the_page() -> None:
    """It is put where the program looks for it first."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    target = build["targets"]["wheel"]["force-include"]["dashboards/page"]
    assert ROOT / "streams" / target == page._INSTALLED
    assert "dashboards" in build["targets"]["sdist"]["include"]
