"""Use Callboard inside a Python program: no server, no port, the same actors and the same history.

Run it: python examples/embed.py

The settings are those of the environment; CALLBOARD_DATA_DIR says where the history is kept.
"""

from callboard import AgentSystem, CancelTask, SubmitTask


def main() -> None:
    with AgentSystem.start() as system:
        # The short way: post a task, wait for its end, get it as the history holds it.
        result = system.execute("What is 12 times 7?")
        print(result.status, result.output)

        # The actor itself. The reply comes once the task is committed; the work goes on behind it.
        task = SubmitTask(task="My name is Alice", session_id="embedded", labels={"from": "embed.py"})
        accepted = system.gateway.ask(task, timeout_s=5)
        for event in system.events(accepted.task_id):  # live, until the task has ended
            print(event.seq, event.topic)
        print(system.execute("What is my name?", session_id="embedded").output)

        # Cancelling a task that has ended changes nothing; the reply is the task as it stands.
        print(system.gateway.ask(CancelTask(task_id=accepted.task_id), timeout_s=5).status)


if __name__ == "__main__":
    main()
