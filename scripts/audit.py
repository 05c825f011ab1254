"""Audit a folder of cases: the same as ``marrowpoint audit``."""

import sys

from marrowpoint.cli import app

if __name__ == "__main__":
    app(["audit", *sys.argv[1:]], prog_name="audit.py")
