"""`python -m rollbook`: the same as the command."""

from rollbook.cli.main import run

if __name__ == "__main__":
    run()
