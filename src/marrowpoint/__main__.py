"""``python -m marrowpoint`` is the command line."""

from marrowpoint.cli import main

if __name__ == "__main__":
    main()
