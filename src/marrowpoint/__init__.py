"""Measures where a bone-marrow needle lies in saved fluoroscopy and ultrasound frames. Research and quality review only."""

from marrowpoint.analyze import Failure, Request, analyze_images
from marrowpoint.assess import assess_frame
from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.case import OUTER_DIAMETER_MM, parse_needle
from marrowpoint.errors import MarrowpointError, NotAssessable
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.frame import Frame, View, ViewKind
from marrowpoint.judge import judge_frame
from marrowpoint.measure import measure_placement
from marrowpoint.measurement import Measurement
from marrowpoint.profile import Profile
from marrowpoint.read import find_images, read_frames, read_procedure, read_profile
from marrowpoint.study import judge_studies, judge_study
from marrowpoint.verdict import Code, Flag, Severity, Verdict

__all__ = [
    "OUTER_DIAMETER_MM",
    "Assessment",
    "Code",
    "Failure",
    "Flag",
    "Frame",
    "MarrowpointError",
    "Measurement",
    "NotAssessable",
    "Profile",
    "Request",
    "Severity",
    "StudyAssessment",
    "Verdict",
    "View",
    "ViewKind",
    "analyze_images",
    "assess_frame",
    "find_images",
    "judge_frame",
    "judge_studies",
    "judge_study",
    "load_network",
    "measure_placement",
    "parse_needle",
    "read_frames",
    "read_procedure",
    "read_profile",
]
