"""What "at once" and "in time" may mean on a machine that does other work too, beside waits that would take several times as long."""

LATE_S = 5.0
"""How late what comes at once may be, in seconds: an idle machine takes a twentieth of one, and a machine at load 10 was seen to
take more than half of one. Whoever compares with it makes sure that what must not happen would take at least 10 s."""
