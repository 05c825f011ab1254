"""What the files cannot say: the operator's sheet of sites, needles and volumes."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
