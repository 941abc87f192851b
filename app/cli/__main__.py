"""`python -m app.cli`: the command `lossboard`."""

from app.cli import main

if __name__ == "__main__":
    main()
