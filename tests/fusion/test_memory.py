"""Memory as it is told: of this process, and of no other."""

import subprocess
import sys

import numpy as np

from fusion.memory import peak_resident_bytes, resident_bytes


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_resident_bytes()
    held = np.ones(64 << 20, dtype=np.uint8)
    assert peak_resident_bytes() >= before
    del held
    assert peak_resident_bytes() >= resident_bytes() - (1 << 20)


def test_a_child_does_not_tell_its_parents_peak() -> None:
    """Two arms measured in processes of their own had the same peak to the byte: the parent's."""
    held = np.ones(600 << 20, dtype=np.uint8)
    code = "from fusion.memory import peak_resident_bytes; print(peak_resident_bytes())"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert peak_resident_bytes() > held.nbytes
    assert int(told) < held.nbytes / 2
