"""What an ultrasound phantom holds, and how it is scanned and shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BEAMS = 256
SAMPLE_MM = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundScene:
    """What is scanned, and how it is shown. Places are (down, right) in mm from the middle of the probe's face.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the screen.
    mm_per_px : tuple of float
        Height and width of a pixel [mm].
    depth_mm : float
        Depth of the picture.
    radius_mm : float
        Radius of a convex probe; 0 for a linear one.
    half_angle_deg, half_width_mm : float
        Half the opening of a convex probe; half the width of a linear one.
    peak : tuple of float or None
        Top of the crest; None for no bone.
    slope : float
        How steep its flanks are; the crest is a hyperbola.
    crest_mm : float
        Radius of its top.
    tip : tuple of float or None
        Tip of the needle; None for no needle.
    lean_deg : float
        Angle of the shaft to the vertical; positive: it comes from the right.
    shown_mm : float
        Length of shaft in the plane of the picture, from the tip.
    gaps : tuple of (float, float)
        Stretches of shaft that send nothing back, from the tip [mm].
    fascia_mm : tuple of float
        Depths of layers that are as bright as bone and throw no shadow.
    fascia_shadow_deg : tuple of float or None
        Beams (first, last, as an angle or for a linear probe in mm) in which the probe has no contact: dark from the skin.
    gain_db : float
        Added to every echo; 12 saturates most of the picture.
    needle_shadow : float
        Amplitude that is left behind the shaft, 1 = no shadow.
    ruler, text : bool
        Whether the screen shows a depth ruler and texts.
    doppler : tuple of float or None
        Box (top, left, bottom, right) [mm] of a colour flow overlay.
    guide : tuple of float or None
        A biopsy guide drawn over the picture: where its dotted lines begin (right of the middle of the probe's face) [mm],
        and their angle to the vertical [deg], positive toward the left.
    flip, upside_down : bool
        The picture is shown mirrored, or on its head.
    gauge_mm : float
        Outer diameter of the needle: its far wall sends an echo back too.
    needle_echo : float
        Amplitude of the shaft; tissue has 0.1, bone up to 12.
    speckle_mm : float
        Size of the speckle across the beams at the probe, and half of that along them.
    gel_mm : float
        Gel between probe and skin: nothing comes back from it.
    seed : int
    """

    shape: tuple[int, int] = (420, 480)
    mm_per_px: tuple[float, float] = (0.22, 0.22)
    depth_mm: float = 75.0
    radius_mm: float = 50.0
    half_angle_deg: float = 30.0
    half_width_mm: float = 22.0
    peak: tuple[float, float] | None = (42.0, 0.0)
    slope: float = 1.4
    crest_mm: float = 8.0
    tip: tuple[float, float] | None = None
    lean_deg: float = 30.0
    shown_mm: float = 200.0
    gaps: tuple[tuple[float, float], ...] = ()
    fascia_mm: tuple[float, ...] = (12.0,)
    fascia_shadow_deg: tuple[float, float] | None = None
    gain_db: float = 0.0
    needle_shadow: float = 1.0
    ruler: bool = True
    text: bool = True
    doppler: tuple[float, float, float, float] | None = None
    guide: tuple[float, float] | None = None
    flip: bool = False
    upside_down: bool = False
    gauge_mm: float = 0.0
    needle_echo: float = 3.0
    speckle_mm: float = 0.48
    gel_mm: float = 0.0
    seed: int = 1

    @property
    def limit(self) -> float:
        """Half the opening: angle [deg] of a convex probe, half the width [mm] of a linear one."""
        return self.half_angle_deg if self.radius_mm > 0 else self.half_width_mm

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(down, right) of every sample of every beam [mm], each of shape (BEAMS, D)."""
        depth = np.arange(0, self.depth_mm, SAMPLE_MM)[None]
        if self.radius_mm <= 0:
            across = np.linspace(-self.half_width_mm, self.half_width_mm, BEAMS)[:, None]
            return depth + 0 * across, across + 0 * depth
        angle = np.radians(np.linspace(-self.half_angle_deg, self.half_angle_deg, BEAMS))[:, None]
        return (self.radius_mm + depth) * np.cos(angle) - self.radius_mm, (self.radius_mm + depth) * np.sin(angle)

    def surface_depth(self, right: np.ndarray) -> np.ndarray:
        """Height of the crest at a place across, as depth below the probe's face [mm]."""
        assert self.peak is not None
        a = self.crest_mm * self.slope**2
        rise: np.ndarray = np.sqrt(a**2 + (self.slope * (right - self.peak[1])) ** 2) - a
        depth: np.ndarray = self.peak[0] + rise
        return depth

    @property
    def tip_to_cortex_mm(self) -> float | None:
        """Signed distance of the tip to the crest in the plane [mm], negative above; None without one of both."""
        if self.tip is None or self.peak is None:
            return None
        right = np.linspace(-120, 120, 48001)
        gap = np.hypot(self.surface_depth(right) - self.tip[0], right - self.tip[1]).min()
        above = self.tip[0] < self.surface_depth(np.array([self.tip[1]]))[0]
        return float(-gap if above else gap)
