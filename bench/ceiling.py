"""The ceiling: a bare Falcon app on waitress that parses the task's JSON and answers; no actor, no store, no log.

`python -m bench.ceiling PORT`. Nothing that is written in Falcon on waitress can answer more requests a second.
"""

import logging
import sys

import falcon
import waitress  # type: ignore[import-untyped]


class Execute:
    """Takes a task and forgets it."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        task = req.get_media()["task"]
        resp.media = {"success": True, "message": "Task submitted for execution", "task": task, "status": "pending"}

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"status": "live"}


def main(port: int) -> None:
    # PERF: it warns at each request that finds no idle thread; a ceiling must not pay for that
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app = falcon.App()
    app.add_route("/agent/execute", Execute())
    waitress.serve(app, host="127.0.0.1", port=port, threads=16, asyncore_use_poll=True, _quiet=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
