"""`python -m hostmaker`: the command line."""

from hostmaker.cli.main import main

if __name__ == "__main__":
    main()
