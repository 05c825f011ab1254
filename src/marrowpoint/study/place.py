"""Whether the tip can lie in thick bone at all: the surroundings of the tip in all views, read together.

Each view gives the code of its surroundings (`fluoroscopy.surroundings`) and what was measured in it; a small network that was
trained on simulated studies of CT hips makes one answer of two or more views: the chance that the bone in which the tip lies is
thicker than each rung of a ladder, where a tip outside bone lies in bone of no thickness.

On hips of a person that no training saw it excludes thick bone for certain in every third needle that lies in none, and hardly
ever in others; it proves thick bone in none (docs/accuracy_studies.md). So it speaks against the right spot, never for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from math import exp

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.study.thickness import LIMITS

READER_FILE = "tip_reader.npz"

# what is measured enters in these units and not beyond these bounds
DISTANCE_MM, CLEAR_MM, DEPTH_MM, LEAST_SINE = (-20.0, 30.0), 8.0, 80.0, 0.25

SCALARS = 14  # numbers of a view beside its code

EXCLUDED = LIMITS[1]  # the upper end of a 95 % interval lies below what is less likely


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewFacts:
    """What one view brings.

    Parameters
    ----------
    code : tuple of float
        Of the tip's surroundings.
    sine : float
        Of the angle between needle and beam, 0 (end on) to 1.
    beam : ndarray of shape (3,)
        Unit vector along the beam, in the axes (left, back, head) of the patient, mirrored for a left hip.
    confidence : float
        Of the outline, 0..1; 0 without one.
    distance_mm : float or None
        Tip to cortex [mm]; None where it cannot be told.
    edge_sd_mm : float
        Standard uncertainty of the outline near the tip [mm].
    depth_mm : float or None
        Insertion depth as projected [mm].
    """

    code: tuple[float, ...]
    sine: float
    beam: Points
    confidence: float
    distance_mm: float | None
    edge_sd_mm: float
    depth_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaceReader:
    """The network that reads several views together.

    Parameters
    ----------
    model_sha256 : str
        Hash of the bone prior it was trained on; codes of another prior mean nothing to it.
    ladder_mm : ndarray of shape (R,)
        Growing thicknesses.
    layers : dict of str to ndarray
        Weights, each with the ensemble's members first: `seen_w`, `seen_b`, `view_w`, `view_b`, `both_w`, `both_b`,
        `out_w`, `out_b`.
    """

    model_sha256: str
    ladder_mm: Points
    layers: dict[str, Points]

    @property
    def code_length(self) -> int:
        """Numbers in a code that it can read."""
        members, _, inputs = self.layers["seen_w"].shape
        return int(members * (inputs - SCALARS))


def view_scalars(view: ViewFacts) -> Points:
    """What the network sees of a view beside its code.

    Parameters
    ----------
    view : ViewFacts

    Returns
    -------
    ndarray of shape (14,), float64
        A beam and its opposite are one; a length that is not known is 0, and a mark says so.
    """
    left, back, head = view.beam if view.beam[1] >= 0 else -view.beam
    level = max(float(np.hypot(left, back)), 1e-6)
    sine = max(view.sine, LEAST_SINE)
    known, entered = view.distance_mm is not None, view.distance_mm is not None and view.depth_mm is not None
    distance = float(np.clip(view.distance_mm or 0.0, *DISTANCE_MM))
    depth = min((view.depth_mm or 0.0) / sine, DEPTH_MM) if entered else 0.0
    return np.array([
        view.sine, 0.25 / sine, left / level, back / level, head, abs(left / level),
        known, distance / 10, min(distance, CLEAR_MM) / 4, view.edge_sd_mm / 3 if known else 0.0, view.confidence,
        entered, depth / 20, np.log(max(depth, 1.0)) / 2,
    ], dtype=np.float64)  # fmt: skip


def thickness_logits(views: Sequence[ViewFacts], reader: PlaceReader) -> Points:
    """Logit of the chance that the tip lies in bone thicker than each rung.

    Parameters
    ----------
    views : sequence of ViewFacts
        At least one.
    reader : PlaceReader

    Returns
    -------
    ndarray of shape (R,), float64
        Falling: mean of the ensemble's members, each of which reads its own part of the codes.
    """
    members = len(reader.layers["out_b"])
    codes = np.array([view.code for view in views]).reshape(len(views), members, -1)
    scalars = np.array([view_scalars(view) for view in views])
    logits = [_member({name: each[k] for name, each in reader.layers.items()}, codes[:, k], scalars) for k in range(members)]
    return np.minimum.accumulate(np.mean(logits, axis=0))


def _member(layer: dict[str, Points], codes: Points, scalars: Points) -> Points:
    seen = np.hstack([codes, scalars])
    for name in ("seen", "view"):
        seen = np.maximum(seen @ layer[f"{name}_w"].T + layer[f"{name}_b"], 0.0)
    both = np.concatenate([seen.mean(axis=0), seen.max(axis=0)])
    both = np.maximum(layer["both_w"] @ both + layer["both_b"], 0.0)
    return np.asarray(layer["out_w"] @ both + layer["out_b"])


def thick_logit(logits: Points, reader: PlaceReader, thick_from_mm: float) -> float | None:
    """The logit at any thickness, between the rungs by straight lines.

    Parameters
    ----------
    logits : ndarray of shape (R,)
    reader : PlaceReader
    thick_from_mm : float
        Where thick bone begins [mm].

    Returns
    -------
    float or None
        Above the ladder that of its last rung, which is too high; None below it.
    """
    if thick_from_mm < reader.ladder_mm[0]:
        return None
    return float(np.interp(thick_from_mm, reader.ladder_mm, logits))


def chance_of(logit: float) -> float:
    """A chance from its logit.

    Parameters
    ----------
    logit : float

    Returns
    -------
    float
        0..1.
    """
    return 1 / (1 + exp(-logit))


def parse_reader(data: bytes) -> PlaceReader:
    """Read a network as `training/place.py` writes it.

    Parameters
    ----------
    data : bytes
        NumPy archive.

    Returns
    -------
    PlaceReader
    """
    with np.load(BytesIO(data), allow_pickle=False) as table:
        layers = {name: table[name].astype(np.float64) for name in table.files if name.endswith(("_w", "_b"))}
        return PlaceReader(model_sha256=str(table["model_sha256"]), ladder_mm=table["ladder_mm"], layers=layers)


@cache
def packaged_reader() -> PlaceReader | None:
    """The network that comes with the package; None where there is none."""
    file = resources.files("marrowpoint") / "models" / READER_FILE
    return parse_reader(file.read_bytes()) if file.is_file() else None
