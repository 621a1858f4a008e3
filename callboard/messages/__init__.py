"""What actors are asked and told, by subject.

`tasks`, `pauses`, `decisions`, `sessions`, `events`, `deliveries`, `usage` and `health` hold what anybody may ask, its replies, and what
actors tell each other about it; `event_types` has each event, `wire` the rule by which events and pauses are written;
`records` what the result logger is told to write, `ledger` the calls of a task. All are
immutable, so that they may cross to another thread or process. Imported by everybody; imports no actor, no HTTP, no SQL.
"""
