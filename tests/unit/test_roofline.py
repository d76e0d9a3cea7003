"""The roofline's kernels are called as the library has them today."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import roofline


@pytest.mark.parametrize("make", roofline.KERNELS, ids=lambda make: make.__name__)
def test_a_kernel_can_be_called(make) -> None:
    kernel = make()
    kernel.call()
    assert kernel.bytes > 0
