"""`python -m tuner.cli`, where no entry point is installed."""

from tuner.cli.main import main

main()
