"""The tip's surroundings in all views, read together: layout, network, rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from build_study import NEEDLE, PROFILE, frame

from marrowpoint.audit.facts import PositionFacts
from marrowpoint.audit.findings import Outcome
from marrowpoint.audit.nouns import StoredFrame, pack, unpack
from marrowpoint.audit.rules_placement import _placed
from marrowpoint.cortex import BonePrior, ThicknessMap
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.fluoroscopy.surroundings import CELL_MM, CELLS, HUB_SIDE_MM, _parsed, tip_code, tip_surroundings
from marrowpoint.frame import PixelSpacing, SpacingSource, ViewKind
from marrowpoint.needle import Needle
from marrowpoint.report.record import study_record
from marrowpoint.study import evidence, judge_study
from marrowpoint.study.place import (
    EXCLUDED,
    SCALARS,
    PlaceReader,
    ViewFacts,
    chance_of,
    packaged_reader,
    thick_logit,
    thickness_logits,
    view_scalars,
)
from marrowpoint.verdict import Code, Flag, Severity

SHAPE, GRID = (400, 400), (200, 200)
TIP_ROW = int(HUB_SIDE_MM / CELL_MM)  # the first row of cells beyond the tip


def prior_of(hip, shape=SHAPE):
    """A prior of a given hip, 10 mm thick all over."""
    hip, ten = hip.astype(np.float32), np.full(hip.shape, 10.0, np.float32)
    thickness = ThicknessMap(median_mm=ten, lower_mm=ten / 2, upper_mm=ten * 2, frame_shape=shape, method="given")
    none = np.zeros_like(hip)
    return BonePrior(
        hip=hip, other_bone=none, shaft=none, tip=none, thickness=thickness, agreement=1.0, frame_shape=shape, model_sha256="m"
    )


def needle_at(tip, axis):
    return Needle(
        tip=tip, axis=axis, width_px=10.0, width_sd_px=0.2, tip_sd_along_px=1.0, tip_sd_across_px=1.0, length_px=100.0,
        confidence=0.9,
    )  # fmt: skip


def spacing(row_mm=0.5, column_mm=0.5):
    return PixelSpacing(row_mm=row_mm, column_mm=column_mm, source=SpacingSource.INSTRUMENT, relative_u=0.03)


def below(row_px):
    """Bone in all of the frame below a row."""
    rows = (np.arange(GRID[0]) + 0.5) * SHAPE[0] / GRID[0] - 0.5
    return np.repeat((rows > row_px)[:, None], GRID[1], axis=1)


def test_a_surface_10_mm_behind_the_tip_lies_10_mm_up_in_the_layout():
    # hub upward, surface 20 px = 10 mm above the tip
    planes = tip_surroundings(prior_of(below(180)), needle_at((200.0, 200.0), (-1.0, 0.0)), spacing())
    column = planes[0, :, CELLS // 2]
    first = int(np.argmax(column > 0.5))
    assert (TIP_ROW - first) * CELL_MM == pytest.approx(10.0, abs=CELL_MM / 2 + 1.0)
    assert planes[2][planes[5] > 0].mean() == pytest.approx(10 / 20, abs=0.02)


def test_only_what_lies_in_the_picture_is_marked_as_seen():
    planes = tip_surroundings(prior_of(below(180)), needle_at((200.0, 10.0), (-1.0, 0.0)), spacing())
    # 10 px = 5 mm to the left of the tip the picture ends; growing columns lie to one side of the tip
    seen_mm = planes[5, TIP_ROW].sum() * CELL_MM
    assert seen_mm == pytest.approx(CELLS / 2 * CELL_MM + 5.0, abs=CELL_MM)


def test_turning_the_picture_changes_nothing():
    rng = np.random.default_rng(3)
    hip = np.kron(rng.random((10, 10)), np.ones((20, 20)))
    tip, axis = (190.0, 215.0), (-0.6, 0.8)
    turned = np.rot90(hip)  # (r, c) of the frame goes to (N - 1 - c, r)
    straight = tip_surroundings(prior_of(hip), needle_at(tip, axis), spacing())
    other = tip_surroundings(
        prior_of(np.ascontiguousarray(turned)), needle_at((SHAPE[1] - 1 - tip[1], tip[0]), (-axis[1], axis[0])), spacing()
    )
    assert np.allclose(straight, other, atol=1e-3)


def test_pixels_that_are_no_squares_are_laid_out_in_millimetres():
    hip = below(180)
    square = tip_surroundings(prior_of(hip), needle_at((200.0, 200.0), (-1.0, 0.0)), spacing())
    # the same scene with rows twice as far apart: half as many rows to the surface
    flat = prior_of(np.repeat(below(190)[:, :1], GRID[1], axis=1))
    planes = tip_surroundings(flat, needle_at((200.0, 200.0), (-1.0, 0.0)), spacing(row_mm=1.0))
    assert np.argmax(planes[0, :, 24] > 0.5) == pytest.approx(np.argmax(square[0, :, 24] > 0.5), abs=1)


@pytest.mark.skipif(packaged_reader() is None, reason="the package was installed without its tip reader")
def test_the_code_of_a_mirrored_picture_is_the_same():
    rng = np.random.default_rng(4)
    hip = np.kron(rng.random((10, 10)), np.ones((20, 20)))
    tip, axis = (190.0, 215.0), (-0.6, 0.8)
    code = tip_code(prior_of(hip), needle_at(tip, axis), spacing())
    mirrored = prior_of(np.ascontiguousarray(hip[:, ::-1]))
    other = tip_code(mirrored, needle_at((tip[0], SHAPE[1] - 1 - tip[1]), (axis[0], -axis[1])), spacing())
    assert len(code) == packaged_reader().code_length
    assert np.allclose(code, other, atol=1e-2)
    assert np.ptp(code) > 0.1


def test_a_damaged_encoder_is_named():
    with pytest.raises(MarrowpointError, match=r"tip_encoder\.onnx.*install marrowpoint again"):
        _parsed(b"no network" * 100)


@pytest.mark.skipif(packaged_reader() is None, reason="the package was installed without its tip reader")
def test_the_packaged_reader_belongs_to_the_packaged_prior():
    assert packaged_reader().model_sha256 == load_network().sha256


def facts(code=(1.0,), **changes):
    given = dict(
        code=code, sine=0.8, beam=np.array([0.6, 0.8, 0.0]), confidence=0.9, distance_mm=8.0, edge_sd_mm=0.6, depth_mm=12.0
    )
    return ViewFacts(**(given | changes))


def reader_of(weight=1.0, bias=0.0, ladder=(4.0, 9.6), model="0"):
    """A network of one member that adds up the views' mean and largest code (one number, not negative)."""
    width = 1 + SCALARS
    seen_w = np.zeros((1, 1, width))
    seen_w[0, 0, 0] = 1.0
    layers = {
        "seen_w": seen_w, "seen_b": np.zeros((1, 1)), "view_w": np.ones((1, 1, 1)), "view_b": np.zeros((1, 1)),
        "both_w": np.ones((1, 1, 2)), "both_b": np.zeros((1, 1)), "out_w": np.array([[[1.0], [weight]]]),
        "out_b": np.array([[3.0, bias]]),
    }  # fmt: skip
    return PlaceReader(model_sha256=model, ladder_mm=np.array(ladder), layers=layers)


def test_a_network_worked_by_hand():
    # codes 1 and 3: mean 2, largest 3, together 5
    logits = thickness_logits([facts((1.0,)), facts((3.0,))], reader_of(weight=-1.0, bias=0.5))
    assert logits == pytest.approx([5 + 3.0, -5 + 0.5])
    assert thickness_logits([facts((-2.0,))], reader_of())[0] == pytest.approx(3.0)


def test_thicker_bone_is_never_likelier():
    logits = thickness_logits([facts((2.0,))], reader_of(weight=4.0, bias=0.0))
    assert logits[1] <= logits[0]


def test_between_the_rungs_lies_a_straight_line():
    reader, logits = reader_of(), np.array([2.0, -2.0])
    assert thick_logit(logits, reader, 6.8) == pytest.approx(0.0)
    assert thick_logit(logits, reader, 20.0) == pytest.approx(-2.0)
    assert thick_logit(logits, reader, 3.0) is None


def test_a_beam_and_its_opposite_are_one():
    beam = np.array([0.3, 0.9, 0.2])
    assert view_scalars(facts(beam=beam)) == pytest.approx(view_scalars(facts(beam=-beam)))


def test_an_unknown_length_is_told_from_a_length_of_nothing():
    known, unknown = view_scalars(facts(distance_mm=0.0)), view_scalars(facts(distance_mm=None, depth_mm=None))
    assert not np.allclose(known, unknown)
    assert np.isfinite(unknown).all()


VIEWS = ((50.0, 0.0, ViewKind.TANGENTIAL), (-30.0, 10.0, ViewKind.ILIAC_OBLIQUE), (0.0, 0.0, ViewKind.AP))


def study(code=(1.0,), side="R", **changes):
    return [replace(frame(p, s, kind=kind, side=side, **changes), tip_code=code) for p, s, kind in VIEWS]


@pytest.fixture
def packaged(monkeypatch):
    """Judges with a network made by hand."""

    def judged(frames, reader):
        frames = [replace(each, provenance=replace(each.provenance, model_sha256="0")) for each in frames]
        monkeypatch.setattr(evidence, "packaged_reader", lambda: reader)
        return judge_study(frames, PROFILE)

    return judged


def test_no_thick_bone_for_certain_is_told_as_the_wrong_spot(packaged):
    # all codes 1: mean and largest 1, together 2
    found = packaged(study(), reader_of(weight=-3.0, bias=0.0))
    assert found.thick_bone_chance == pytest.approx(chance_of(-6.0))
    assert found.verdict.code is Code.INDETERMINATE
    assert Flag.NOT_IN_THICK_BONE in found.verdict.flags
    assert found.verdict.severity is Severity.PROBLEM
    assert found.verdict.text.startswith("Not the right spot")
    assert study_record(found)["thick_bone_chance"] == pytest.approx(chance_of(-6.0), abs=1e-4)


def test_what_is_not_certain_is_not_told(packaged):
    found = packaged(study(), reader_of(weight=0.0, bias=EXCLUDED + 0.01))
    assert Flag.NOT_IN_THICK_BONE not in found.verdict.flags
    assert found.thick_bone_chance is not None


def test_worse_news_comes_first(packaged):
    frames = study()
    frames[0] = replace(
        frame(50.0, 0.0, kind=ViewKind.TANGENTIAL, side="R", clearance_mm=-6.0, code=Code.OUTSIDE_BONE), tip_code=(1.0,)
    )
    found = packaged(frames, reader_of(weight=-3.0))
    assert found.verdict.code is Code.OUTSIDE_BONE


def test_a_sure_network_proves_nothing(packaged):
    alone = packaged(study(), None)
    with_network = packaged(study(), reader_of(weight=9.0, bias=9.0))
    assert with_network.verdict == alone.verdict


@pytest.mark.parametrize(
    "frames",
    [
        study(side=""),
        study(code=()),
        study(code=(1.0, 2.0)),
        study()[:1],
        study(flags=(Flag.SCALE_CONFLICT,)),
        study(flags=(Flag.AMBIGUOUS_NEEDLE,)),
        study(angles=False),
    ],
    ids=["no side", "no code", "code of another network", "one view", "scales disagree", "two needles", "no angles"],
)
def test_what_cannot_be_read_gives_no_chance(packaged, frames):
    assert packaged(frames, reader_of(weight=-9.0)).thick_bone_chance is None


def test_codes_of_another_prior_are_not_read(packaged):
    assert packaged(study(), reader_of(weight=-9.0, model="another")).thick_bone_chance is None


def test_a_left_hip_is_read_as_its_mirror_image(packaged):
    reader = reader_of()
    reader.layers["seen_w"][0, 0, 3] = 1.0  # how far the beam points to the left
    mirror = [
        replace(frame(-p, s, kind=kind, side="L", needle=NEEDLE * [-1.0, 1.0, 1.0]), tip_code=(1.0,)) for p, s, kind in VIEWS
    ]
    right, left = packaged(study(), reader), packaged(mirror, reader)
    unmirrored = packaged([replace(each, frame=replace(each.frame, side="R")) for each in mirror], reader)
    assert left.thick_bone_chance == pytest.approx(right.thick_bone_chance, rel=1e-3)
    assert unmirrored.thick_bone_chance != pytest.approx(right.thick_bone_chance, rel=1e-3)


def test_an_audit_keeps_the_code_and_counts_a_wrong_spot(packaged):
    (first, *_) = study(code=(0.25, -1.5))
    assert unpack(StoredFrame, pack(StoredFrame(assessment=first))).assessment.tip_code == (0.25, -1.5)
    verdict = packaged(study(), reader_of(weight=-3.0)).verdict
    position = PositionFacts(study_instance_uid="1", site="1", frames=(), verdict=verdict)
    assert _placed(position) is Outcome.FAIL
