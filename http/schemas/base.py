"""What every answer has in common, and the shape of errors."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


ABSENT: Any = None
"""The default of what an answer may lack. It is never null then, and no default is told."""


class Answer(BaseModel):
    """An object of an answer: all of it is described, and what has no `ABSENT` is always there."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Problem(Answer):
    """Every error has this shape."""

    error: str = Field(description="A title, the same for every error of its kind.")
    message: str = Field(description="A sentence that names the thing, the limit and the next step.")
    code: str = Field(description="A stable name for programs.")
    details: dict[str, Any] = Field(
        default=ABSENT, description="`fields` names each wrong field; in development a defect's traceback."
    )
    request_id: str = Field(description="The id under which the server's log has this request.")
    retry_after: int = Field(default=ABSENT, description="Seconds to wait, also in the Retry-After header.")
