"""Pictures of the PDF stay the JPEG they are."""

import tracemalloc
from io import BytesIO

import cv2
import numpy as np
import pytest

pytest.importorskip("reportlab", reason="the report extra is not installed")

from reportlab.platypus import SimpleDocTemplate

from marrowpoint.audit.pdf_picture import embedded

SHAPE = (600, 800, 3)


def jpeg(seed: int) -> bytes:
    grain = np.random.default_rng(seed).integers(0, 255, SHAPE).astype(np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(grain, (0, 0), 3), [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()


def test_a_picture_keeps_its_shape():
    image = embedded(jpeg(1), 200.0)
    assert (image.drawWidth, image.drawHeight) == pytest.approx((200.0, 150.0))


def test_many_pictures_do_not_pile_up_in_memory():
    pictures = [jpeg(seed) for seed in range(20)]
    out = BytesIO()
    tracemalloc.start()
    SimpleDocTemplate(out).build([embedded(picture, 300.0) for picture in pictures])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert out.getvalue().count(b"/DCTDecode") == len(pictures)
    assert peak < 20 * np.prod(SHAPE) / 3  # decoded they are three times that


def test_the_same_picture_twice_is_stored_once():
    out = BytesIO()
    SimpleDocTemplate(out).build([embedded(jpeg(5), 300.0), embedded(jpeg(5), 200.0)])
    assert out.getvalue().count(b"/DCTDecode") == 1
