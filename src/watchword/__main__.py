"""`python -m watchword` is `watchword`."""

from watchword.cli import main

if __name__ == "__main__":  # the workers of `serve` import this file again
    main()
