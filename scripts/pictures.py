"""Take pictures of the built pages, on a phone and a laptop, in light and dark, for people to judge."""

from itertools import product

import browser as chromium
from execution import ROOT
from playwright.sync_api import sync_playwright
from tqdm import tqdm
from visit import LAPTOP, PHONE, choose_theme, pages, server, visits

PICTURES = ROOT / "_build" / "pictures"


def take_pictures() -> None:
    with sync_playwright() as playwright, server() as site:
        browser = chromium.start(playwright)
        assert browser is not None, chromium.HELP
        for name, width in tqdm(list(product(pages(), (PHONE, LAPTOP))), unit="page"):
            with visits(browser, site) as open_page:
                page = open_page(name, width=width).page
                for theme in ("light", "dark"):
                    choose_theme(page, theme)
                    path = PICTURES / f"{name.replace('/', '-')}-{theme}-{width}.jpg"
                    page.screenshot(path=path, full_page=True, type="jpeg", quality=80)
        browser.close()
    print(f"Look at {PICTURES}")


if __name__ == "__main__":
    chromium.ensure()
    take_pictures()
