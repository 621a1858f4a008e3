"""`python -m callboard` is `callboard`."""

from callboard.cli.main import main

main()
