"""The doors in: DICOM files, the operator's sheet, a profile."""

from marrowpoint.read.files import ImageFile, find_images
from marrowpoint.read.frames import read_frame, read_frames
from marrowpoint.read.procedure import read_procedure
from marrowpoint.read.profiles import read_profile

__all__ = ["ImageFile", "find_images", "read_frame", "read_frames", "read_procedure", "read_profile"]
