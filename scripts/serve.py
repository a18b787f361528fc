"""Serve the book on localhost, and build it again whenever one of its files changes."""

import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from build import HTML, ROOT
from watchfiles import DefaultFilter, watch

PORT = 8000
SOURCES = ["_config.yml", "_toc.yml", "book", "notebooks", "gradlib", "homework/student"]


class Pages(SimpleHTTPRequestHandler):
    """Hands out the built files, and never says that an old one will do."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing for each request: the terminal is for the build."""


def server() -> ThreadingHTTPServer:
    pages = partial(Pages, directory=HTML)
    try:
        return ThreadingHTTPServer(("127.0.0.1", PORT), pages)
    except OSError:  # the port is taken
        return ThreadingHTTPServer(("127.0.0.1", 0), pages)


def build() -> None:
    # A process of its own: gradlib and the book's extension may be what changed.
    subprocess.run([sys.executable, Path(__file__).with_name("build.py")])


def main() -> None:
    build()
    with server() as pages:
        Thread(target=pages.serve_forever, daemon=True).start()
        print(f"Serving http://localhost:{pages.server_port}/ until Ctrl+C", flush=True)
        for _ in watch(
            *(ROOT / name for name in SOURCES), watch_filter=DefaultFilter(), raise_interrupt=False
        ):
            build()


if __name__ == "__main__":
    main()
