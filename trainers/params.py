"""The base classes of every method's parameters, and the error that names a bad one."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

LARGEST = 1e100  # bound of |w0|, |x| and |y|: its square is far below the largest float64, 1.8e308
MAX_STEPS = 10_000_000
MAX_SEED = 2**32 - 1


class ParameterError(ValueError):
    """A parameter that does not fit the others or the data. The message says what to send instead.

    `rule` names what was broken, and `values` are what its message is made of, so that a form can say it in its own
    words; a rule without a name can only be told by its message.
    """

    def __init__(self, field: str, message: str, rule: str = "", **values: float) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.rule = rule
        self.values = values


def _number(value: object) -> float:
    """A finite float from an int or a float. Raises PydanticCustomError for text, booleans, NaN and infinities."""
    if value in ("NaN", "Infinity", "-Infinity"):  # how these travel in JSON
        raise PydanticCustomError("finite_number", "Input should be a finite number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number_type", "Input should be a number, such as 0.01")
    try:
        number = float(value)
    except OverflowError:  # an int of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise PydanticCustomError("finite_number", "Input should be a finite number")
    return number


def _whole_number(value: object) -> int:
    """As `_number`, for an int or a float without a fraction: 100.0 becomes 100. Raises for 100.5."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = _number(value)
    except PydanticCustomError as error:
        if error.type == "number_type":
            raise PydanticCustomError("int_type", "Input should be a whole number, such as 100") from None
        raise
    if not number.is_integer():
        raise PydanticCustomError("int_from_float", "Input should be a whole number, such as 100")
    return int(number)


Number = Annotated[float, BeforeValidator(_number)]
WholeNumber = Annotated[int, BeforeValidator(_whole_number)]


def _common_last(schema: dict[str, Any]) -> None:
    """Move the fields of Params behind the method's own ones, in place: the page's form has the schema's order."""
    fields = schema["properties"]
    for name in Params.model_fields:
        fields[name] = fields.pop(name)


class Params(BaseModel):
    """The parameters of every method. Trainers ignore both: the runner uses them."""

    # validate_assignment: a value that is changed during the run has the same bounds.
    model_config = ConfigDict(extra="forbid", strict=True, validate_assignment=True, json_schema_extra=_common_last)

    steps_per_second: Annotated[float, Field(gt=0), BeforeValidator(_number)] | None = Field(
        default=None,
        title="Steps per second",
        description="How fast to go, in updates per second. Empty: at full speed.",
    )
    predict_at: Number = Field(
        default=4.0,
        ge=-LARGEST,
        le=LARGEST,
        title="Predict at x",
        description="The x at which the model's output is shown before and after the training.",
    )


class LearningParams(Params):
    """The parameters of every method that learns by repeated updates (kind "descent")."""

    lr: Number = Field(
        default=0.01,
        gt=0,
        le=1000,
        title="Learning rate",
        description="How far an update goes along the negative gradient. Too small is slow, too large diverges.",
    )
    epochs: WholeNumber = Field(
        default=100,
        ge=1,
        le=MAX_STEPS,
        title="Epochs",
        description="How often to go through all of the data.",
    )


class OneWeightParams(LearningParams):
    """The parameters of a method that learns the one weight of y = x * w."""

    w0: Number = Field(
        default=1.0,
        ge=-LARGEST,
        le=LARGEST,
        title="Initial weight",
        description="The weight w before the first update.",
    )


def seed_field(description: str) -> Any:
    """The field of a seed; `description` says what is drawn from it."""
    return Field(default=0, ge=0, le=MAX_SEED, title="Seed", description=description)
