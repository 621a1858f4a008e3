"""The shapes of answers, for the OpenAPI document.

Answers are built by hand in http/views.py, which is faster; `Running` of tests/http holds every answer of every test against
these models. The request's model is `callboard.task_spec.TaskSpec`, the one that validates. Imported by the document only.
"""
