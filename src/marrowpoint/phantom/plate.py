"""The plate of the hip bone as tables over its own plane: outline, thickness, curvature, cortex."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import points_in_poly

from marrowpoint.frame import FloatImage, Points

GRID_MM = 0.5
GRID_ORIGIN = (-150.0, -130.0)
GRID_SHAPE = (580, 460)

# Outline of the plate seen from the side, (u, v) in mm: front spine, crest, back spine, notch, sit bone, socket, front.
OUTLINE: tuple[tuple[float, float], ...] = (
    (44, 80), (34, 103), (12, 121), (-18, 131), (-50, 128), (-80, 115), (-102, 97), (-113, 80), (-107, 66), (-99, 57),
    (-94, 45), (-79, 36), (-58, 34), (-44, 23), (-38, 4), (-46, -16), (-38, -38), (-46, -66), (-36, -86), (-16, -86),
    (-6, -62), (-4, -38), (12, -30), (26, -26), (32, -8), (33, 14), (39, 34), (34, 48), (37, 64),
)  # fmt: skip
CREST = slice(0, 8)

# Bumps of full thickness [mm]: height, (u, v), spread along and across, turn [deg].
BUMPS: tuple[tuple[float, tuple[float, float], tuple[float, float], float], ...] = (
    (10.0, (20, 106), (15, 11), -40),
    (11.5, (-97, 80), (20, 15), 60),
    (11.0, (-78, 60), (24, 15), 20),
    (15.0, (-38, 34), (30, 12), -25),
    (25.0, (-4, 4), (27, 25), 0),
    (15.0, (-32, -62), (28, 16), 90),
    (7.0, (38, 82), (10, 8), 0),
    (6.0, (38, 40), (12, 9), 90),
    (9.0, (20, -16), (16, 10), 0),
)
WING_MM = 4.6
THIN_WINDOW = (2.7, (-42.0, 84.0), 20.0)
CREST_BAND = (5.5, 9.0)

CORTEX_MM = (0.9, 1.4)


def smooth_outline(samples: int = 1200) -> Points:
    """The closed outline of the plate, shape (samples, 2), (u, v) [mm]."""
    knots = np.array([*OUTLINE, OUTLINE[0]], dtype=np.float64)
    along = np.concatenate([[0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(knots, axis=0), axis=1)))])
    return np.asarray(CubicSpline(along, knots, bc_type="periodic")(np.linspace(0, along[-1], samples, endpoint=False)))


@lru_cache(maxsize=1)
def plate_tables() -> FloatImage:
    """Half thickness, distance inside the rim, middle surface and cortex on a (v, u) grid, shape (m, n, 4)."""
    v, u = np.meshgrid(
        GRID_ORIGIN[1] + GRID_MM * np.arange(GRID_SHAPE[0]), GRID_ORIGIN[0] + GRID_MM * np.arange(GRID_SHAPE[1]), indexing="ij"
    )
    places = np.stack([u, v], axis=-1).reshape(-1, 2)
    outline = smooth_outline()
    distance = cKDTree(outline).query(places)[0].reshape(u.shape)
    inside = points_in_poly(places, outline).reshape(u.shape)
    rim = np.where(inside, distance, -distance)
    crest_line = CubicSpline(np.arange(8), np.array(OUTLINE[CREST], dtype=np.float64))(np.linspace(0, 7, 400))
    to_crest = cKDTree(crest_line).query(places)[0].reshape(u.shape)
    height, place, spread = THIN_WINDOW
    full = WING_MM - height * np.exp(-((u - place[0]) ** 2 + (v - place[1]) ** 2) / (2 * spread**2))
    full += CREST_BAND[0] * np.exp(-((to_crest / CREST_BAND[1]) ** 2))
    for bump, centre, (long, wide), turn in BUMPS:
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        a, b = (u - centre[0]) * c + (v - centre[1]) * s, (v - centre[1]) * c - (u - centre[0]) * s
        full += bump * np.exp(-(a**2) / (2 * long**2) - b**2 / (2 * wide**2))
    middle = gaussian_filter(_middle(u, v), 4)
    cortex = CORTEX_MM[0] + (CORTEX_MM[1] - CORTEX_MM[0]) * np.clip((full - 4) / 14, 0, 1)
    table: FloatImage = np.stack([full / 2, rim, middle, np.minimum(cortex, 0.42 * full)], axis=-1).astype(np.float32)
    return table


def _middle(u: Points, v: Points) -> Points:
    """Offset of the plate's middle surface along w [mm]: fossa, gluteal hollow, flare of the crest, twist of the sit bone."""
    fossa = 9 * np.exp(-(((u - 5) / 45) ** 2) - ((v - 70) / 42) ** 2)
    hollow = -7 * np.exp(-(((u + 72) / 36) ** 2) - ((v - 92) / 40) ** 2)
    flare = 0.16 * np.maximum(v - 88, 0) * np.clip((u + 90) / 120, 0, 1)
    twist = 0.10 * np.minimum(v + 10, 0) + 0.10 * np.maximum(u - 10, 0) * np.clip((30 - v) / 40, 0, 1) * -1.0
    back = -0.22 * np.minimum(u + 88, 0)
    return np.asarray(fossa + hollow + flare + twist + back)
