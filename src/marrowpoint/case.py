"""What the files cannot say: the operator's sheet of sites, needles and volumes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from marrowpoint.errors import InvalidNeedle

# Needle (Stubs) gauge to outer diameter [mm]; ISO 9626 and clinical suppliers' tables.
# American WIRE gauge is another table: its "8" is 3.26 mm, a 28 % error.
OUTER_DIAMETER_MM: dict[str, float] = {
    "8G": 4.19,
    "10G": 3.40,
    "11G": 3.05,
    "13G": 2.41,
    "15G": 1.83,
    "16G": 1.65,
    "18G": 1.27,
    "20G": 0.91,
    "22G": 0.72,
    "25G": 0.51,
}


def parse_needle(text: str) -> float:
    """Outer diameter [mm] of a needle written as ``11G`` or ``3.05mm``.

    Parameters
    ----------
    text : str
        A gauge of the table, or a length with the unit mm.

    Returns
    -------
    float
        Outer diameter [mm], between 0.3 and 6.

    Raises
    ------
    InvalidNeedle
        If the text is neither, or the size is no needle's.
    """
    compact = text.strip().replace(" ", "")
    if compact.upper() in OUTER_DIAMETER_MM:
        return OUTER_DIAMETER_MM[compact.upper()]
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)mm", compact, flags=re.IGNORECASE)
    if match is None:
        known = ", ".join(OUTER_DIAMETER_MM)
        raise InvalidNeedle("invalid_needle", f"needle {text!r} is no size: write a gauge ({known}) or a length such as 3.05mm")
    diameter_mm = float(match[1].replace(",", "."))
    if not 0.3 <= diameter_mm <= 6:
        raise InvalidNeedle("invalid_needle", f"needle {text!r} is {diameter_mm} mm thick; needles are 0.3 to 6 mm")
    return diameter_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One row of the procedure sheet; only the study is required.

    Parameters
    ----------
    needle : str
        The needle as written: a gauge is no length.
    total_ml : float or None
        Volume of the whole procedure as stated beside the sites' volumes [ml].
    site_kind : {"entry", "trajectory", "level", ""}
        What the operator counts as a site: a hole in the cortex, a direction from it, or a depth along it.
    contrast : {"yes", "no", ""}
        Whether contrast was injected here.
    adverse_event : str
        ``none``, or what happened; empty where the sheet is silent.
    """

    study_instance_uid: str
    site: str = ""
    side: str = ""
    needle_od_mm: float | None = None
    volume_ml: float | None = None
    syringe_ml: float | None = None
    entry_time: str = ""
    phase: str = ""
    operator_role: str = ""
    note: str = ""
    needle: str = ""
    total_ml: float | None = None
    site_kind: str = ""
    contrast: str = ""
    adverse_event: str = ""

    def entered_at(self) -> time | None:
        """Time of day of the entry, None where the sheet gives none that can be read."""
        text = self.entry_time.strip()
        try:
            return datetime.fromisoformat(text).time() if "-" in text else time.fromisoformat(text)
        except ValueError:
            return None


def stated_diameter_mm(sites: Sequence[Site], acquired: datetime | None) -> tuple[float | None, bool]:
    """Outer diameter of the needle that a picture of a study shows, as far as the sheet tells.

    Parameters
    ----------
    sites : sequence of Site
        Rows of the study.
    acquired : datetime or None
        When the picture was taken.

    Returns
    -------
    diameter_mm : float or None
        The one size of all rows; of rows of different size that of the latest entry before the picture.
    contradictory : bool
        Sizes differ and the clock does not choose: a guessed needle would be a guessed scale.
    """
    sized = [site for site in sites if site.needle_od_mm is not None]
    if len({site.needle_od_mm for site in sized}) <= 1:
        return (sized[0].needle_od_mm if sized else None), False
    entries = [(entry, site.needle_od_mm) for site in sized if (entry := site.entered_at()) is not None]
    if acquired is None or len(entries) < len(sized):
        return None, True
    before = [entry for entry, _ in entries if entry <= acquired.time()]
    latest = {diameter_mm for entry, diameter_mm in entries if before and entry == max(before)}
    return (latest.pop(), False) if len(latest) == 1 else (None, True)
