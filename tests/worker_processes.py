"""How many worker processes the servers and the systems of the tests have, unless a test asks for another number.

0 is threads: a worker process is a second interpreter, a second of a processor at each of hundreds of starts, and most tests are of
the wire or of the command line. Tests of worker processes ask for them (`worker_processes=1`, `CALLBOARD_WORKER_PROCESSES="1"`); the
servers of chaos/ and bench/ have what their scenarios say, or else what an operator has who sets nothing.
"""

OF_TESTS = {"CALLBOARD_WORKER_PROCESSES": "0"}
"""Set for the process of the tests (tests/conftest.py) and for the programs that they start (`environment` in tests/docs/serving.py)."""
