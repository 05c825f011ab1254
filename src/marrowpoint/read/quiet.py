"""Keep the DICOM library's warnings out of a user's terminal, for the length of one call only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings inside the block; what matters to a reader is said by marrowpoint's own errors and conflicts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
