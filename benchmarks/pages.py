"""What each page of the built book weighs: all that it loads until it has been read to its end.

Budget: 2 MB as files, 0.7 MB as a server sends them compressed. The tests hold every page to it.
"""

import sys

import browser
from playwright.sync_api import sync_playwright
from visit import pages, server, visits


def main() -> None:
    with sync_playwright() as playwright, server() as site:
        chromium = browser.start(playwright) or sys.exit(browser.HELP)
        print(f"{'page':<40} {'files':>5} {'MB':>6} {'compressed':>10}")
        for name in pages():
            with visits(chromium, site) as open_page:
                seen = open_page(name)
                size, sent = seen.raw_bytes / 1e6, seen.gzipped_bytes / 1e6
                print(f"{name:<40} {len(seen.bodies):5} {size:6.2f} {sent:10.2f}")
        chromium.close()


if __name__ == "__main__":
    main()
