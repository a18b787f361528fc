"""Open pages of the built book as a reader does, with the network cut, and note what happens."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import yaml
from execution import ROOT
from playwright.sync_api import Browser, Page, Response, Route

HTML = ROOT / "_build" / "html"
PHONE, LAPTOP = 390, 1280  # px
COMPRESSED = (".woff2", ".png", ".jpg")
# Every sideways step and jump counts that the reader did not cause.
COUNT_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) {
            if (!shift.hadRecentInput) {
                const moved = shift.sources.map(({ node }) => node?.outerHTML ?? node?.textContent);
                window.shifts.push({ value: shift.value, moved: String(moved[0]).slice(0, 120) });
            }
        }
    }).observe({ type: "layout-shift", buffered: true });
"""
# A pass over the page, as a reader makes it: what waits to come into view gets its turn, and its time.
READ_THROUGH = """async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const explorables = [...document.querySelectorAll("gradlib-explorable")];
    const isDrawn = (explorable) => explorable.querySelector(".gl-chart svg[aria-label]") !== null;
    const isWaiting = (explorable) => {
        const { top, bottom } = explorable.getBoundingClientRect();
        return bottom > 0 && top < innerHeight && !isDrawn(explorable);
    };
    const patience = performance.now() + 20_000;
    for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
        scrollTo(0, y);
        do {
            await frame();
        } while (explorables.some(isWaiting) && performance.now() < patience);
    }
    scrollTo(0, 0);
    await frame();
    return explorables.every(isDrawn);
}"""


def pages() -> list[str]:
    """The pages that _toc.yml names, and the search page."""

    def named(part: dict[str, Any]) -> Iterator[str]:
        if "root" in part or "file" in part:
            yield part.get("root") or part["file"]
        for inner in [*part.get("parts", []), *part.get("chapters", []), *part.get("sections", [])]:
            yield from named(inner)

    return [*named(yaml.safe_load((ROOT / "_toc.yml").read_text())), "search"]


def choose_theme(page: Page, theme: str) -> None:
    """As a system does it; without motion, or colours would be seen halfway through their change."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")


@dataclass
class Visit:
    """A page that was opened and scrolled through once, and what happened meanwhile."""

    page: Page
    offsite: list[str] = field(default_factory=list)
    """addresses outside the book that were asked for; none was reached"""
    errors: list[str] = field(default_factory=list)
    """of scripts, of the console, and of files that did not come"""
    bodies: dict[str, bytes] = field(default_factory=dict)
    """every file that the page loaded, by address"""

    @property
    def raw_bytes(self) -> int:
        return sum(map(len, self.bodies.values()))

    @property
    def gzipped_bytes(self) -> int:
        return sum(
            len(body) if urlsplit(url).path.endswith(COMPRESSED) else len(gzip.compress(body))
            for url, body in self.bodies.items()
        )


@contextmanager
def server(html: Path = HTML) -> Iterator[str]:
    """Serve a folder on this machine; gives the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(html))) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


Visitor = Callable[..., Visit]


@contextmanager
def visits(browser: Browser, site: str) -> Iterator[Visitor]:
    """Gives open_page("book/index", theme="dark", width=390), which reads a page through.

    before: a script that runs before any of the page's own. Pages stay open until the context ends.
    """
    with ExitStack() as open_contexts:

        def open_page(
            name: str,
            theme: str = "light",
            width: int = LAPTOP,
            scripts: bool = True,
            base: str = site,
            before: str = "",
        ) -> Visit:
            context = browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=theme,
                java_script_enabled=scripts,
                has_touch=width == PHONE,
            )
            open_contexts.callback(context.close)
            context.add_init_script(COUNT_SHIFTS + before)
            visit = Visit(context.new_page())
            watch(visit, base)
            visit.page.goto(f"{base}/{name}.html")
            if scripts:
                assert visit.page.evaluate(READ_THROUGH), f"{name}: an explorable does not draw itself"
            return visit

        yield open_page


def watch(visit: Visit, base: str) -> None:
    def guard(route: Route) -> None:
        url = route.request.url
        if url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            visit.offsite.append(url)
            route.abort()

    def arrived(response: Response) -> None:
        if response.status >= 400:
            visit.errors.append(f"{response.status} for {response.url}")
        elif response.url.startswith(base) and response.request.redirected_to is None:
            visit.bodies[response.url] = response.body()

    page = visit.page
    page.context.route("**/*", guard)
    page.on("response", arrived)
    page.on("websocket", lambda socket: visit.offsite.append(socket.url))
    page.on("pageerror", lambda error: visit.errors.append(f"script: {error.message}"))
    page.on(
        "console",
        lambda message: (
            message.type == "error"
            and visit.errors.append(f"console: {message.text} ({message.location.get('url')})")
        ),
    )
