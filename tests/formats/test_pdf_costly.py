"""PDFs that unfold far: what all of one file takes is bounded, not each of its pieces."""

import subprocess
import sys
import time

import pytest

from docs.generate import ROOT
from gateway.formats.pdf import inspect
from tests.support.costly_pdfs import in_object_streams

UNFOLDS = "its structure unfolds to more than 4194304 bytes"
TAKES = "its structure takes more than 134217728 bytes of memory"


@pytest.mark.parametrize(
    ("pages", "size", "problems"),
    [
        pytest.param(1, 16_000_000, (UNFOLDS,), id="one page"),
        pytest.param(40, 16_000_000, (UNFOLDS,), id="forty pages"),
        pytest.param(60, 400_000, (UNFOLDS, TAKES), id="sixty of which each is sound"),
    ],
)
def test_the_unpacked_size_of_a_pdf_is_limited_over_all_its_streams(
    pages: int, size: int, problems: tuple[str, ...]
) -> None:
    data = in_object_streams(pages, size)
    began = time.process_time()
    facts = inspect(data)
    assert facts.problem in problems
    assert facts.pages == 0
    assert time.process_time() - began < 5


def test_a_file_of_many_small_object_streams_is_read() -> None:
    assert inspect(in_object_streams(20, 100_000)).pages == 20


_MEASURED = """
import resource, sys
from gateway.formats.pdf import inspect
from tests.support.costly_pdfs import in_object_streams, overlapping
made = {"many": lambda: in_object_streams(60, 400_000), "over": lambda: overlapping(60, 1_000_000)}
data = made[sys.argv[1]]()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(inspect(data).problem)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("made", ["many", "over"])
def test_the_memory_of_one_file_is_bounded_however_its_objects_lie(made: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _MEASURED, made], cwd=ROOT, capture_output=True, text=True, check=True
    )
    problem, grown = run.stdout.splitlines()
    assert problem in (UNFOLDS, TAKES)
    assert int(grown) < 450 * 1024  # without the bound 1.6 and 4 GB
