"""Assessments kept on disk, so that a folder that was analysed once opens at once.

Everything that could change a result is in the key: the pixels, what the header says of scale and view, the needle's declared
size, the program's own files, the profile and the model. Pixels themselves are not kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import types
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

import marrowpoint
from marrowpoint.assess import marrowpoint_version, without_pixels
from marrowpoint.assessment import Assessment
from marrowpoint.errors import NotAssessable
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.frame import Frame
from marrowpoint.profile import Profile

FORMAT = 1
MAX_FILES = 5_000  # about 1 GB; the oldest go first

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentCache:
    """A folder of assessments.

    Parameters
    ----------
    folder : Path
        Made when the first assessment is kept.
    """

    folder: Path

    @classmethod
    def of_user(cls) -> AssessmentCache:
        """The cache in the user's own cache folder, the oldest of a full one taken away."""
        import platformdirs  # noqa: PLC0415 - comes with the viewer, not with the core

        cache = cls(folder=Path(platformdirs.user_cache_dir("marrowpoint", appauthor=False)) / "assessments")
        cache.prune()
        return cache

    def load(self, key: str, frame: Frame) -> Assessment | None:
        """What was kept under a key, on the frame that it belongs to.

        Parameters
        ----------
        key : str
            From `cache_key`.
        frame : Frame
            As it was read.

        Returns
        -------
        Assessment or None
            None where nothing was kept, or what was kept cannot be read.
        """
        try:
            # read whole first: a damaged archive is left open by the reader
            with np.load(BytesIO(self._path(key).read_bytes()), allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}
            tree = json.loads(bytes(arrays.pop("tree")).decode("utf-8"))
            found: Assessment = _decoded(Assessment, tree, arrays)
            if found.exposure is None and tree["exposed"]:
                found = replace(found, exposure=find_exposure(frame))
            return replace(found, frame=frame)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, NotAssessable):
            return None

    def keep(self, key: str, assessment: Assessment) -> None:
        """Keep an assessment; a disk that cannot take it is no error, the next window analyses again."""
        arrays: Arrays = {}
        small = replace(assessment, frame=without_pixels(assessment).frame, exposure=None)
        tree = _encoded(small, arrays) | {"exposed": assessment.exposure is not None}
        data = json.dumps(tree, allow_nan=False).encode()
        fresh = self._path(key).with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, tree=np.frombuffer(data, np.uint8), **arrays)
            fresh.replace(self._path(key))
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def prune(self, most: int = MAX_FILES) -> int:
        """Take the oldest away above a number of files; returns how many went."""
        try:
            kept = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        except OSError:
            return 0
        gone = kept[: max(len(kept) - most, 0)]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def cache_key(frame: Frame, profile: Profile, model_sha256: str | None, outer_diameter_mm: float | None) -> str:
    """Name of an assessment in the cache.

    Parameters
    ----------
    frame : Frame
    profile : Profile
    model_sha256 : str or None
    outer_diameter_mm : float or None
        Declared for the needle.

    Returns
    -------
    str
        Hexadecimal.
    """
    reference = frame.reference
    stated = (
        FORMAT, reference.pixel_sha256, reference.rows, reference.columns, reference.modality, reference.path,
        reference.frame_number, reference.sop_instance_uid, frame.view, frame.side, frame.header_spacing, frame.regions,
        frame.geometry, outer_diameter_mm, profile.sha256, model_sha256, program_sha256(),
        sha256(np.packbits(frame.valid).tobytes()).hexdigest(),
    )  # fmt: skip
    return sha256(repr(stated).encode("utf-8", "backslashreplace")).hexdigest()


@lru_cache(maxsize=1)
def program_sha256() -> str:
    """Hash of the program's version and of the state of its own files, which change between versions while it is written."""
    home = Path(marrowpoint.__file__).parent
    state = [marrowpoint_version()]
    for path in sorted([*home.rglob("*.py"), *home.glob("models/*")]):
        found = path.stat()
        state.append(f"{path.relative_to(home).as_posix()} {found.st_size} {found.st_mtime_ns}")
    return sha256("\n".join(state).encode()).hexdigest()


def _encoded(value: Any, arrays: Arrays) -> Any:
    """A noun as JSON types; its arrays go aside."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encoded(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return name
    if isinstance(value, tuple):
        return [_encoded(each, arrays) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    return value


def _decoded(hint: Any, tree: Any, arrays: Arrays) -> Any:
    """The noun that `_encoded` took apart."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if tree is None:
            return None
        return _decoded(next(each for each in get_args(hint) if each is not type(None)), tree, arrays)
    if origin is np.ndarray:
        array = arrays[tree]
        array.flags.writeable = False
        return array
    if origin is tuple:
        parts = get_args(hint)
        kinds = [parts[0]] * len(tree) if parts[-1] is Ellipsis else parts
        return tuple(_decoded(kind, each, arrays) for kind, each in zip(kinds, tree, strict=True))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{field.name: _decoded(hints[field.name], tree[field.name], arrays) for field in dataclasses.fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(tree)
    if hint is datetime:
        return datetime.fromisoformat(tree)
    return tree
