"""What several views of one needle say together: the only place that may say ``right_spot``."""

from marrowpoint.study.fuse import judge_studies, judge_study
from marrowpoint.study.group import Position, group_positions

__all__ = ["Position", "group_positions", "judge_studies", "judge_study"]
