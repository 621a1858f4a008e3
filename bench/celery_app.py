"""What Callboard is measured beside: FastAPI that hands an empty task to Celery, by Redis, and waits for its result if it is asked to.

`uvicorn bench.celery_app:app` and `celery --app bench.celery_app:tasks worker`, both started by `celery_pair.py`, which names the
Redis in the environment. Takes the same request as `POST /agent/execute`, so that the same client loads it.
"""

import os
from typing import Annotated

from celery import Celery
from fastapi import FastAPI, Header
from pydantic import BaseModel

REDIS = os.environ["BENCH_REDIS"]
PATIENCE_S = 30

# Results stand in a database of their own, where they are counted.
tasks = Celery("bench", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
app = FastAPI()


class Execute(BaseModel):
    """The part of a task's request that this one reads."""

    task: str


@tasks.task
def empty(task: str) -> None:
    """Do nothing with a task."""


@app.post("/agent/execute")
def execute(asked: Execute, prefer: Annotated[str | None, Header()] = None) -> dict[str, str | bool | None]:
    sent = empty.delay(asked.task)
    if prefer is None:
        return {"success": True, "taskId": sent.id, "status": "pending"}
    return {"success": True, "taskId": sent.id, "status": "completed", "output": sent.get(timeout=PATIENCE_S)}
