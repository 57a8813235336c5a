"""The public surface: every exported name exists, is documented, and a verb of Python is a verb of the command line."""

import subprocess
import sys

import pytest

import tenfold
from tenfold.commands import VERBS


@pytest.mark.parametrize("name", tenfold.EXPORTS)
def test_every_export_exists_and_is_documented(name):
    assert len(getattr(tenfold, name).__doc__) > 20


def test_every_verb_is_a_function_of_the_same_name():
    functions = {verb.replace("-", "_") for verb in VERBS}
    assert functions <= set(tenfold.EXPORTS)
    assert all(callable(getattr(tenfold, function)) for function in functions)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = tenfold.fit


def test_import_is_light_and_no_module_hides_a_verb():
    program = """
import sys, tenfold
assert "torch" not in sys.modules
tenfold.train, tenfold.report
import tenfold.reports, tenfold.training, tenfold.evidence
assert callable(tenfold.report) and callable(tenfold.train)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
