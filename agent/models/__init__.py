"""Models: one small interface, an adapter for each vendor's API, and what keeps a call within its time and its price.

`load_model` in `loading.py` is where to begin: it makes an `ApiModel` of the settings (`building.py`; `api_model.py`:
tries, pauses, the circuit breaker), which asks a dialect (`openai.py`, `anthropic.py`) over a connection that minds the call's time
(`wire.py`, `sockets.py`, `watch.py`). Nothing of a vendor is imported before that.
"""

from callboard.agent.models.base import Completion, Image, Message, Model, ModelCall, TokenUse

__all__ = ["Completion", "Image", "Message", "Model", "ModelCall", "TokenUse"]
