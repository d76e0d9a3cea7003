"""`python -m dreampods` is `dreampods`."""

from .cli import main

if __name__ == "__main__":
    main()
