"""What can go wrong, said so that a person knows what to do next.

The tree::

    MarrowpointError
    |- UnreadableImage     not DICOM, cut short, no decoder
    |- UnsupportedImage    read, but holds no projection or ultrasound frame
    |- InvalidProfile      unknown threshold, impossible value
    |- InvalidProcedure    procedure.csv that cannot be understood
    |- InvalidNeedle       a needle size that is none
    |- ArchiveError        an archive out of reach, that refuses, or got less than was sent; an object not written
    |- InvalidAudit        an audit's database that cannot be used
    `- NotAssessable       read, but no honest verdict is possible (carries a reason code)

A wrong argument of a function is a plain ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations


class MarrowpointError(Exception):
    """Base of all errors that marrowpoint raises on purpose.

    Parameters
    ----------
    code : str
        Short machine-readable reason, stable between releases.
    text : str
        One sentence: what is wrong and what to do.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (type(self), (self.code, self.text))


class UnreadableImage(MarrowpointError):
    """The file cannot be read as an image."""


class UnsupportedImage(MarrowpointError):
    """The file was read, but it holds nothing that marrowpoint measures."""


class InvalidProfile(MarrowpointError):
    """The profile names an unknown threshold or an impossible value."""


class InvalidProcedure(MarrowpointError):
    """The procedure sheet cannot be understood."""


class InvalidNeedle(MarrowpointError):
    """The needle size is not one."""


class InvalidAudit(MarrowpointError):
    """The database of an audit is missing, damaged, of a newer version or in use."""


class ArchiveError(MarrowpointError):
    """The archive cannot be reached or refuses, a transfer is incomplete, or an object for it cannot be written."""


class NotAssessable(MarrowpointError):
    """The frame was read, but no honest verdict can be given; ``code`` says why."""
