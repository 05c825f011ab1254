"""A person who marks what is really there is told what is really so: whole phantom frames against their truth."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from sample_scenes import place, scene

from marrowpoint.assess import assess_frame
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.frame import Frame, FrameReference, SpacingSource
from marrowpoint.phantom import render_scene
from marrowpoint.read import read_profile
from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections, KnownLength
from marrowpoint.review.hand import fitted_width
from marrowpoint.review.livewire import edge_cost, nearest_edge, snap_path
from marrowpoint.verdict import Code

PROFILE = read_profile()
# the part of a phantom picture that no collimator hides
LIT = np.hypot(*(np.indices((512, 512)) - 255.5)) < 225
SCENES = {
    "inside": scene(place(-92, 76, 0.5), view=(45.0, -8.0), seed=1, size=512),
    "outside": scene(place(-92, 76, -2.5), view=(45.0, -8.0), seed=2, size=512),
}


@pytest.fixture(scope="module", params=SCENES)
def drawn(request):
    """A phantom frame, its truth, and what the program says of it without its network: nothing."""
    picture = render_scene(SCENES[request.param])
    pixels = (picture.pixels / np.iinfo(picture.pixels.dtype).max).astype(np.float32)
    rows, columns = pixels.shape
    reference = FrameReference(path="phantom.dcm", modality="XA", rows=rows, columns=columns, pixel_sha256=request.param)
    frame = Frame(pixels=pixels, valid=np.ones(pixels.shape, bool), reference=reference)
    return picture.truth, assess_frame(frame, profile=PROFILE)


def marked(truth, **more) -> Corrections:
    far = tuple(truth.tip[k] + 150 * truth.axis[k] for k in (0, 1))
    # this bone leaves the picture at its lower right: a person closes the line beyond the corner
    whole = tuple(np.vstack([line, [[600.0, 600.0]], line[:1]]) for line in truth.outline)
    start = (100.0, 100.0)
    known = KnownLength(start=start, end=(100.0, 300.0), length_mm=200 * truth.mm_per_px)
    return Corrections().changed(by="A", tip=truth.tip, far_end=far, outline=whole, scale=known, **more)


def test_the_truth_marked_by_hand_is_measured_as_the_truth(drawn):
    truth, base = drawn
    assert base.cortex is None and base.verdict.code is Code.NOT_ASSESSABLE
    found = reassess(base, marked(truth), PROFILE)
    distance = found.placement.tip_to_cortex
    assert distance.value == pytest.approx(truth.tip_to_cortex_mm, abs=0.3)
    assert distance.lower < truth.tip_to_cortex_mm < distance.upper
    assert (found.cortex.bone != truth.hip)[LIT].mean() < 0.01
    if truth.tip_to_cortex_mm < -4:
        assert found.verdict.code in (Code.OUTSIDE_BONE, Code.BREACH_SUSPECTED)
    else:
        assert found.verdict.code not in (Code.OUTSIDE_BONE, Code.RIGHT_SPOT)


def test_a_drawn_shaft_finds_its_width_in_the_picture(drawn):
    truth, base = drawn
    exposure = base.exposure or find_exposure(base.frame)
    width = 3.05 / truth.mm_per_px
    for guess in (0.6, 1.0, 1.5):
        found, sd = fitted_width(exposure, truth.tip, truth.axis, 150.0, guess * width)
        # metal that the display burns in hides how wide it is: then the doubt must say so
        assert found == pytest.approx(width, rel=0.1) or sd > 0.08 * width
        assert abs(found - width) < 2 * sd
    away = (truth.tip[0] + 8 * width * truth.axis[1], truth.tip[1] - 8 * width * truth.axis[0])
    beside = fitted_width(exposure, away, truth.axis, 150.0, width)
    assert beside is None or beside[0] < 0.8 * width or beside[0] > 1.25 * width


def test_a_gauge_on_a_drawn_shaft_gives_the_scale(drawn):
    truth, base = drawn
    corrections = marked(truth).changed(by="A", scale=None, outer_diameter_mm=3.05)
    spacing = reassess(replace(base, needle=None), corrections, PROFILE).calibration.spacing
    assert spacing.source is SpacingSource.INSTRUMENT
    assert abs(spacing.mm_per_px / truth.mm_per_px - 1) < spacing.relative_u


def test_the_live_wire_follows_the_cortex_of_a_picture(drawn):
    truth, base = drawn
    exposure = base.exposure or find_exposure(base.frame)
    outline = max(truth.outline, key=len)
    seen = np.flatnonzero(LIT[tuple(np.clip(np.rint(outline), 0, 511).astype(int).T)])
    line = outline[seen[0] : seen[-1] + 1]
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    clicks = [tuple(line[np.searchsorted(way, at)]) for at in np.arange(0.0, way[-1], 60.0)]
    edges = edge_cost(exposure.attenuation, exposure.field)
    clicks = [nearest_edge(edges, click, 4.0) for click in clicks]
    paths = [snap_path(edges, *pair) for pair in itertools.pairwise(clicks)]
    off_mm = np.hypot(*(np.vstack(paths)[:, None] - line[None]).transpose(2, 0, 1)).min(axis=1) * truth.mm_per_px
    assert len(paths) >= 8
    assert np.median(off_mm) < 0.6
    assert np.percentile(off_mm, 90) < 1.5
