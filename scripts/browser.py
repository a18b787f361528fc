"""Find a Chromium that starts, or install one: the pages are tested in a real browser, always.

In order: one that the system has, Playwright's, a package of Debian (as root), a download by Playwright.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

# Debian's headless shell is the same engine without windows and menus, and takes a third less time.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "google-chrome-stable", "google-chrome", "chromium", "chromium-browser")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# A browser that keeps to itself: no sandbox, since containers allow none, and no calls home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Each window would start a second page, for suggestions under an address bar that nobody sees.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
]
HELP = (
    "The pages are tested in Chromium, and there is none here that starts, nor could one be "
    "installed. Install Chromium or Google Chrome, then run the command again."
)


def candidates(playwright: Playwright) -> Iterator[str]:
    yield from filter(None, map(shutil.which, (*NAMES, MACOS)))
    if os.path.exists(playwright.chromium.executable_path):
        yield playwright.chromium.executable_path


def start(playwright: Playwright) -> Browser | None:
    """A running browser, or None when there is none that starts."""
    for path in candidates(playwright):
        try:
            return playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            print(f"{path} does not start: {error.message.splitlines()[0]}", file=sys.stderr)
    return None


def installers() -> Iterator[tuple[str, list[list[str]]]]:
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and shutil.which("apt-get"):
        for package in (SHELL, "chromium"):
            install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
            yield f"Debian's package {package}", [["apt-get", "update", "-q"], install]
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    yield "Playwright's own build", [[*playwright, "--with-deps"] if is_root else playwright]


def ensure() -> None:
    """Leave this machine with a Chromium that starts, or end the program and say what to do."""
    with sync_playwright() as playwright:
        if browser := start(playwright):
            print(f"Chromium {browser.version} will test the pages", flush=True)
            browser.close()
            return
        for name, commands in installers():
            print(f"Installing Chromium: {name}", flush=True)
            installed = all(subprocess.run(command).returncode == 0 for command in commands)
            if installed and (browser := start(playwright)):
                browser.close()
                return
    sys.exit(HELP)


if __name__ == "__main__":
    ensure()
