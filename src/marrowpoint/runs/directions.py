"""Directions in words: of the patient where the file says how the picture lies, else of the picture."""

from __future__ import annotations

from math import degrees, sqrt

import numpy as np

LETTERS = {
    "L": "to the patient's left",
    "R": "to the patient's right",
    "A": "to the front",
    "P": "to the back",
    "H": "toward the head",
    "F": "toward the feet",
}
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
IN_PICTURE = ("right", "down", "left", "up")
# A direction is named by one axis where the other is less than half of it.
MINOR = 0.5


def unit_vector(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float] | None:
    """Unit vector (row, column) from one point to another; None where they coincide."""
    r, c = end[0] - start[0], end[1] - start[1]
    length = sqrt(r * r + c * c)
    return None if length < 1e-9 else (r / length, c / length)


def angle_between_deg(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Angle between two unit vectors [deg]."""
    return degrees(float(np.arccos(np.clip(first[0] * second[0] + first[1] * second[1], -1, 1))))


def known_orientation(orientation: tuple[str, ...]) -> bool:
    """Whether the two directions are letters of different patient axes."""
    if len(orientation) != 2 or not all(word and word[0] in LETTERS for word in orientation):
        return False
    return len({frozenset((word[0], OPPOSITE[word[0]])) for word in orientation}) == 2


def direction_words(vector: tuple[float, float], orientation: tuple[str, ...]) -> str:
    """A direction (row, column) in words.

    Parameters
    ----------
    vector : tuple of float
        Unit vector.
    orientation : tuple of str
        Patient directions of growing columns and growing rows, DICOM letters; anything else: words of the picture.

    Returns
    -------
    str
    """
    known = known_orientation(orientation)
    parts = []
    for value, word, names in ((vector[1], 0, (IN_PICTURE[0], IN_PICTURE[2])), (vector[0], 1, (IN_PICTURE[1], IN_PICTURE[3]))):
        if abs(value) < MINOR * max(abs(vector[0]), abs(vector[1])):
            continue
        if known:
            letter = orientation[word][0]
            parts.append(LETTERS[letter if value > 0 else OPPOSITE[letter]])
        else:
            parts.append(names[0] if value > 0 else names[1])
    return " and ".join(parts) if known else f"{' and '.join(parts)} in the picture"
