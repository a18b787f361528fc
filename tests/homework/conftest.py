"""Nothing in this folder is skipped: without a sandbox its tests fail, and say what to install."""

import bubblewrap
import pytest


@pytest.fixture(scope="session", autouse=True)
def sandbox() -> None:
    if found := bubblewrap.problem():
        pytest.fail(found, pytrace=False)
