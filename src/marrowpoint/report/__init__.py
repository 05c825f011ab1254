"""What leaves the house: records, pictures, pages."""

from marrowpoint.report.overlay import draw_overlay
from marrowpoint.report.page import write_page
from marrowpoint.report.record import failure_record, frame_record, study_record
from marrowpoint.report.results import write_results

__all__ = ["draw_overlay", "failure_record", "frame_record", "study_record", "write_page", "write_results"]
