"""Template of an actor: a message, the actor that answers it, and the supervisor that restarts it when it crashes.

Run it: python examples/actor.py

In the project an actor has a file of its own under actors/, its messages stand in callboard/messages/, and it is
built and wired in callboard/wiring.py; CONTRIBUTING.md lists what else to touch.
"""

from dataclasses import dataclass
from typing import Any

from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor, Supervisor
from callboard.messages.ask import Ask
from callboard.messages.health import Ping, Pong


@dataclass(frozen=True, slots=True, kw_only=True)
class CountWords(Ask["WordsCounted"]):
    """Ask how many words a text has; the reply is a `WordsCounted`."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsCounted:
    """The answer, and how many questions this incarnation of the actor has answered."""

    words: int
    answered: int


WordCounterMessage = CountWords | Ping
"""What a word counter understands."""


class WordCounter(SupervisedActor[WordCounterMessage]):
    """Counts words. Its state is its own: one message is handled at a time, so there is nothing to lock."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox)
        self._answered = 0

    def receive(self, message: WordCounterMessage) -> Any:
        match message:
            case CountWords(text=text):
                return self._count(text)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(
                    message
                )  # an error with a name; the type checker finds a message that is not handled

    def _count(self, text: str) -> WordsCounted:
        self._answered += 1
        return WordsCounted(words=len(text.split()), answered=self._answered)


def start(supervisor: Supervisor) -> Address[WordCounterMessage]:
    """Start a word counter and return the address at which it stays reachable, restarts included."""
    address: Address[WordCounterMessage] = Address(Mailbox("word counter", limit=100))
    supervisor.start(address, WordCounter)
    return address


def main() -> None:
    supervisor = Supervisor()
    word_counter = start(supervisor)
    try:
        print(word_counter.ask(CountWords(text="places, please: curtain in five minutes"), timeout_s=5))
    finally:
        supervisor.stop(word_counter, timeout_s=5)
        supervisor.close()


if __name__ == "__main__":
    main()
