"""Where the contrast lies in each frame: what stands out of the noise and hangs together with the needle's tip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.needle import Needle
from marrowpoint.runs.grid import GridScale, disc, distance_from, field_rim, misregistered
from marrowpoint.runs.shadow import Shadow, along_shaft, behind, cast_shadow, covered, read_sides, smooth_beside
from marrowpoint.runs.subtract import Subtraction

MEAN_OF = 3  # frames averaged to see faint contrast
BLUR_MM = 0.8
SEED, GROW = 6.0, 3.5  # noise SDs: contrast for sure; contrast where it touches such
CORRIDOR_MM = 1.0  # around the needle: its own misregistered edge
CORE_SHARE = 0.3  # of the peak: the area is where contrast is at least this dense
TIP_MM, LINK_MM = 10.0, 4.0  # contrast begins so near to the tip; pieces so near to one another hang together
BESIDE_MM = 1.0  # contrast so near to the shaft may come out from behind it
EDGE_MM = 0.5  # beside the shaft its own blurred edge hides contrast, too
LEVELS = (0.65, 1.4)  # of the level that bounds the area: it may be off by so much (noise of the peak, display, blur)
FRONT_QUANTILE = 0.98
RIM_MM, REACHES_MM = 1.2, 1.5  # depth of the field's rim, and on what length of it contrast lies that reaches it
SWEPT_MARGINS = 2.0  # a moving needle also sways


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The contrast of one frame. Lengths in `GridScale.unit`, areas in its square.

    Parameters
    ----------
    frame : int
        From 0.
    area : float
        Where the density, smoothed by `BLUR_MM`, is at least `CORE_SHARE` of its peak; inferred behind the needle.
    area_lower, area_upper : float
        Its 95 % interval: what the needle hides and the level of the edge.
    cut_off : bool
        It reaches the edge of the field: what lies beyond is not in the area, and is in no upper limit either.
    seen_area : float
        Where contrast stands out of the noise.
    density : float
        Sum of the added attenuation over the seen area (proportional to iodine where the picture is linear in log signal).
    front : float
        Distance of the far end of the seen area from the tip.
    front_point, centroid : tuple of float or None
        (row, column) in the mask picture [px].
    in_bone, in_target : float or None
        Share of the density over the bone's silhouette, and in the target that a person drew.
    """

    frame: int
    area: float = 0.0
    area_lower: float = 0.0
    area_upper: float = 0.0
    cut_off: bool = False
    seen_area: float = 0.0
    density: float = 0.0
    front: float = 0.0
    front_point: tuple[float, float] | None = None
    centroid: tuple[float, float] | None = None
    in_bone: float | None = None
    in_target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What the spread is held against, on the grid; all but the start may be missing.

    Parameters
    ----------
    tip : tuple of float
        (row, column) on the grid: the needle's tip, or where contrast appeared.
    corridor : ndarray of shape (m, n), bool
        The needle's shadow, all False without one.
    bone, target : ndarray of shape (m, n), bool, or None
    swept : ndarray of shape (m, n), bool, or None
        Where a moving needle may show as new metal: nothing is called contrast there.
    shadow : Shadow or None
        What the shaft hides; None without a needle.
    beside : tuple of float or None
        Where contrast first appeared, if that is beside the shaft of a still needle: a leak, or a tip found too far ahead.
    """

    tip: tuple[float, float]
    corridor: Mask
    bone: Mask | None = None
    target: Mask | None = None
    swept: Mask | None = None
    shadow: Shadow | None = None
    beside: tuple[float, float] | None = None


def surroundings(
    subtraction: Subtraction,
    needle: Needle | None,
    bone: Mask | None,
    target: Mask | None,
    margin_px: float,
    travel_px: float = 0.0,
    first: tuple[float, float] | None = None,
) -> Surroundings | None:
    """Bring needle, bone and target to the grid; without a needle contrast begins where it first shows.

    Parameters
    ----------
    subtraction : Subtraction
    needle : Needle or None
        In the mask picture.
    bone, target : ndarray of shape (M, N), bool, or None
    margin_px : float
        Around the needle [px of the picture].
    travel_px : float
        How far the needle may move along its shaft [px of the picture]; 0 for a still one.
    first : tuple of float or None
        Where contrast first appeared, (row, column) in the mask picture.

    Returns
    -------
    Surroundings or None
        None where there is neither needle nor contrast.
    """
    shape = subtraction.inside.shape
    small = [None if m is None else _shrunk(m, shape) for m in (bone, target)]
    if needle is not None:
        size = subtraction.picture.shape[0], subtraction.picture.shape[1]
        swept = None
        if travel_px > 0:
            ahead = needle.tip[0] - travel_px * needle.axis[0], needle.tip[1] - travel_px * needle.axis[1]
            longer = replace(needle, tip=ahead, length_px=needle.length_px + travel_px)
            swept = _shrunk(longer.footprint(size, margin_px=SWEPT_MARGINS * margin_px), shape)
        tip = subtraction.to_grid(needle.tip)
        # the margin is the corridor's: the edge's is told in mm, too
        shadow = cast_shadow(
            shape,
            tip,
            needle.axis,
            radius_px=needle.width_px / 2 / subtraction.factor,
            edge_px=EDGE_MM / CORRIDOR_MM * margin_px / subtraction.factor,
            length_px=needle.length_px / subtraction.factor,
        )
        return Surroundings(
            tip=tip,
            corridor=_shrunk(needle.footprint(size, margin_px=margin_px), shape),
            bone=small[0],
            target=small[1],
            swept=swept,
            shadow=shadow,
            beside=None if first is None or travel_px > 0 else along_shaft(shadow, subtraction.to_grid(first)),
        )
    if first is None:
        return None
    return Surroundings(tip=subtraction.to_grid(first), corridor=np.zeros(shape, bool), bone=small[0], target=small[1])


def _shrunk(mask: Mask, shape: tuple[int, ...]) -> Mask:
    return np.asarray(cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA) > 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadSeries:
    """The spread frame by frame.

    Parameters
    ----------
    spreads : tuple of Spread
    seen : ndarray of shape (m, n), bool
        Where contrast was seen in any frame.
    reached : ndarray of shape (m, n), int
        Index into the subtraction's frames at which a place was first seen; -1 for never.
    elsewhere : float
        Largest area of change that does not hang together with the tip.
    apart : ndarray of shape (m, n), bool
        All places of such changes.
    peak : int
        Index of the frame with the most contrast.
    """

    spreads: tuple[Spread, ...]
    seen: Mask
    reached: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
    elsewhere: float
    apart: Mask
    peak: int


def follow_spread(subtraction: Subtraction, around: Surroundings, scale: GridScale) -> SpreadSeries:
    """Segment the contrast of each frame after the mask.

    Parameters
    ----------
    subtraction : Subtraction
    around : Surroundings
    scale : GridScale

    Returns
    -------
    SpreadSeries
        ``spreads`` has one entry for each frame of the subtraction; those of the mask are empty.
    """
    noise = smoothed_noise(subtraction, scale)
    distance = distance_from(around.tip, subtraction.inside.shape)
    linked: Mask = distance < scale.px(TIP_MM)
    if around.beside is not None:
        linked |= distance_from(around.beside, distance.shape) < scale.px(TIP_MM)
    metal = around.corridor if around.swept is None else around.corridor | around.swept
    rim = field_rim(subtraction.inside, metal, scale.px(RIM_MM))
    # contrast that runs back behind a needle that stands still comes out beside it anywhere
    shaft = cv2.dilate(around.corridor.astype(np.uint8), disc(scale.px(BESIDE_MM))) > 0 if around.swept is None else None
    inside = subtraction.inside if around.swept is None else subtraction.inside & ~around.swept
    seen, apart = np.zeros_like(linked), np.zeros_like(linked)
    reached = np.full(linked.shape, -1, np.int32)
    spreads, elsewhere = [], 0.0
    for index, frame in enumerate(subtraction.frames):
        if frame <= subtraction.mask_frames[-1]:
            spreads.append(Spread(frame=frame))
            continue
        mean = subtraction.stack[index - 1 : index + 2].mean(axis=0)
        smooth = smooth_beside(mean, around.swept, scale.px(BLUR_MM))
        found, other, size = _linked(smooth / noise, inside, (linked, shaft), scale)
        elsewhere = max(elsewhere, size * scale.size**2)
        apart |= other
        linked = linked | found
        reached[found & ~seen] = index
        seen |= found
        spreads.append(_measure(frame, mean, found, (distance, rim), (subtraction, around, scale)))
    peak = int(np.argmax([s.density for s in spreads]))
    return SpreadSeries(spreads=tuple(spreads), seen=seen, reached=reached, elsewhere=elsewhere, apart=apart & ~seen, peak=peak)


def smoothed_noise(subtraction: Subtraction, scale: GridScale) -> FloatImage:
    """Standard deviation of a smoothed mean of `MEAN_OF` differences, misregistered edges included, shape (m, n)."""
    masks = [k for k, f in enumerate(subtraction.frames) if f in subtraction.mask_frames]
    count = len(masks)
    smooth = np.stack([cv2.GaussianBlur(subtraction.stack[k], (0, 0), scale.px(BLUR_MM)) for k in masks])
    variance = ((smooth - smooth.mean(axis=0)) ** 2).sum(axis=0) / max(count - 1, 1)
    inside = subtraction.inside.astype(np.float32)
    local = cv2.blur(variance * inside, (21, 21)) / (cv2.blur(inside, (21, 21)) + np.float32(1e-6))
    usual = float(np.median(local[subtraction.inside])) if subtraction.inside.any() else 1e-8
    total = np.maximum(local, 0.25 * usual + 1e-12) * (1 / MEAN_OF + 1 / count)
    return np.asarray(np.hypot(np.sqrt(total), misregistered(subtraction, scale.px(BLUR_MM))), dtype=np.float32)


def _linked(
    strength: FloatImage, inside: Mask, links: tuple[Mask, Mask | None], scale: GridScale
) -> tuple[Mask, Mask, float]:
    """Pieces that stand out and hang together with what is linked already; the others, and the size of their largest [px2]."""
    above = ((strength > GROW) & inside).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    peaks = np.zeros(count)
    np.maximum.at(peaks, np.asarray(labels, np.int64).ravel(), strength.ravel())
    good = [i for i in range(1, count) if peaks[i] > SEED and stats[i, cv2.CC_STAT_AREA] >= scale.px(1.2) ** 2]
    reach = disc(scale.px(LINK_MM))
    found = np.zeros(inside.shape, np.bool_)
    near, shaft = links
    while good:
        near_now = cv2.dilate(near.astype(np.uint8), reach) > 0 if found.any() else near
        if shaft is not None and (found & shaft).any():
            near_now = near_now | shaft
        joined = [i for i in good if (near_now & (labels == i)).any()]
        if not joined:
            break
        piece = np.isin(labels, joined)
        found |= piece
        near = near | piece
        good = [i for i in good if i not in joined]
    return found, np.isin(labels, good), max((float(stats[i, cv2.CC_STAT_AREA]) for i in good), default=0.0)


def _measure(
    frame: int,
    mean: FloatImage,
    found: Mask,
    places: tuple[FloatImage, Mask],
    context: tuple[Subtraction, Surroundings, GridScale],
) -> Spread:
    distance, rim = places
    subtraction, around, scale = context
    if not found.any():
        return Spread(frame=frame)
    wide = cv2.dilate(found.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    areas, whole = _areas(mean, found, wide, (around, scale))
    weight = np.where(wide | whole.seen, np.maximum(whole.density, 0), 0)
    total = float(weight.sum())
    rows, columns = np.mgrid[: found.shape[0], : found.shape[1]]
    middle = float((rows * weight).sum() / total), float((columns * weight).sum() / total)
    far = float(np.quantile(distance[found], FRONT_QUANTILE))
    tail = found & (distance >= 0.92 * far)
    front = float(rows[tail].mean()), float(columns[tail].mean())
    likely, lower, upper = (count * scale.size**2 for count in areas)
    return Spread(
        frame=frame,
        area=likely,
        area_lower=min(lower, likely),
        area_upper=max(upper, likely),
        cut_off=float((found & rim).sum()) > scale.px(RIM_MM) * scale.px(REACHES_MM),
        seen_area=float(found.sum()) * scale.size**2,
        density=float(mean[wide].sum()) * scale.size**2,
        front=far * scale.size,
        front_point=subtraction.to_picture(front),
        centroid=subtraction.to_picture(middle),
        in_bone=None if around.bone is None else float(weight[around.bone].sum() / total),
        in_target=None if around.target is None else float(weight[around.target].sum() / total),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Whole:
    """Density with what the needle hides, shape (m, n), and where there is any."""

    density: FloatImage
    seen: Mask


def _areas(
    mean: FloatImage, found: Mask, wide: Mask, context: tuple[Surroundings, GridScale]
) -> tuple[tuple[float, float, float], _Whole]:
    """Area, its least and its most, in pixels of the grid; and the density with what is hidden."""
    around, scale = context
    shadow = around.shadow
    sigma = scale.px(BLUR_MM)
    if shadow is None:
        core = cv2.GaussianBlur(mean, (0, 0), sigma)
        level = CORE_SHARE * float(core[found].max())
        counts = [float((wide & (core >= share * level)).sum()) for share in (1.0, LEVELS[1], LEVELS[0])]
        return (counts[0], counts[1], counts[2]), _Whole(density=mean, seen=found)
    smooth = smooth_beside(np.asarray(mean, dtype=np.float32), shadow.mask, sigma)
    # beside the shaft contrast was hardly found, for the shaft took part in the smoothing there
    reach = max(1, round(2 * sigma))
    near = cv2.dilate(found.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    rim = cv2.dilate(shadow.mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    beside = np.asarray(smooth * ((wide | (near & rim)) & ~shadow.mask), dtype=np.float32)
    level = CORE_SHARE * float(beside.max())
    sides = read_sides(beside, shadow)
    hidden = behind(sides, shadow)
    density = mean.copy()
    density[shadow.mask] = hidden
    likely, sure, most = (covered(sides, shadow, hidden, share * level) for share in (1.0, LEVELS[1], LEVELS[0]))
    outside = [float((beside >= share * level).sum()) for share in (1.0, LEVELS[1], LEVELS[0])]
    areas = outside[0] + likely.likely, outside[1] + sure.surely, outside[2] + most.at_most
    return areas, _Whole(density=density, seen=np.asarray(density >= level) & (shadow.mask | wide))
