"""What ``marrowpoint review`` opens: napari with a review in it, and nothing else on the screen."""

from __future__ import annotations

from marrowpoint.review.launch import ReviewRequest


def launch(request: ReviewRequest) -> int:
    """Open the window and run until it is closed.

    Parameters
    ----------
    request : ReviewRequest

    Returns
    -------
    int
        Exit status.
    """
    import napari  # noqa: PLC0415 - a second to import

    from napari_marrowpoint.window import make_room, open_review  # noqa: PLC0415

    viewer = napari.Viewer(title="marrowpoint review")
    make_room(viewer)
    open_review(viewer, [] if request.folder is None else [request.folder], request)
    napari.run()
    return 0
