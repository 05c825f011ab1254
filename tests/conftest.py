"""What all tests share: threads and time limits that do not depend on how busy the machine is."""

from __future__ import annotations

import cv2
from hypothesis import settings

cv2.setNumThreads(1)
settings.register_profile("house", deadline=None, max_examples=40)
settings.load_profile("house")
