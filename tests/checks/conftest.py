"""What the tests of checks share."""

import forked
import pytest

from tenfold.checks.script import parent


@pytest.fixture
def real_child():
    """Asked for by the tests of the start itself: their children are begun as users' are."""


@pytest.fixture(autouse=True)
def _forked(request, monkeypatch):
    """Other children are forked."""
    if "real_child" not in request.fixturenames:
        monkeypatch.setattr(parent, "begin", forked.Forked)
