"""`python -m anatomy`."""

from anatomy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
