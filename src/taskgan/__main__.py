"""``python -m taskgan``."""

from taskgan.cli import main

if __name__ == "__main__":
    main()
