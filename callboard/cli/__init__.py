"""The command line: `main.py` has every command, `exit.py` what their statuses mean."""
