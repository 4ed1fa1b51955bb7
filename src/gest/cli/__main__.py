"""Run the command line as `python -m gest.cli`."""

from gest.cli import main

main()
