"""`python -m serving` is `brandtox`."""

from serving.cli import main

if __name__ == "__main__":
    main()
