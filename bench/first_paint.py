"""How long the console's list takes to be seen in a browser, with 10,000 tasks in the history.

From the beginning of the navigation to the frame that shows the first page of rows, in a browser context that has never
seen the console: nothing is cached. Skipped where there is no Chromium.
"""

import statistics

from bench import server
from bench.browser import launched, open_page, why_not
from bench.figures import BenchError, Figure, Run, spread
from bench.long_history import make_history

TASKS = 10_000
ROWS = 50
AT_MOST_MS = 1000

# Two frames after the rows are in the document, the first of them has been painted.
_WATCH = f"""
window.paintedMs = new Promise((resolve) => {{
  const seen = () => document.querySelectorAll("tbody tr").length >= {ROWS};
  const done = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
  new MutationObserver((_, observer) => {{
    if (!seen()) return;
    observer.disconnect();
    done();
  }}).observe(document, {{childList: true, subtree: true}});
}});
"""


def measure(run: Run) -> list[Figure]:
    reason = why_not()
    if reason:
        run.say(f"the console's first paint is skipped: {reason}")
        return []
    folder = run.new_folder("console")
    make_history(folder, TASKS)
    with server.callboard(folder) as ours, launched() as browser:
        took_ms: list[float] = []
        for _ in range(5 if run.quick else 20):
            page = open_page(browser)
            page.add_init_script(_WATCH)
            page.goto(f"http://127.0.0.1:{ours.port}/console/")
            took_ms.append(float(page.evaluate("window.paintedMs")))
            if not page.get_by_text(f"What is {TASKS - 1} times 7?").count():
                raise BenchError("the console does not show the newest task.")
            page.context.close()
    run.say(f"the console shows its list after {statistics.median(took_ms):.0f} ms")
    return [
        Figure(
            name=f"console's first paint, {TASKS:,} tasks",
            value=statistics.median(took_ms),
            unit="ms",
            at_most=AT_MOST_MS,
            note=f"navigation to the frame with {ROWS} rows, nothing cached; {spread(took_ms, '{:.0f}')} ms",
        )
    ]
