"""The napari face of marrowpoint: opens frames with what was measured on them."""
