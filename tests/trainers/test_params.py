"""Bounds, strictness and the schema of every method's parameters."""

import math

import pytest
from pydantic import ValidationError

from trainers import METHODS, ParameterError
from trainers.params import Params

DEFAULTS = {
    "sweep": {"w_start": 0.0, "w_stop": 4.0, "w_step": 0.1},
    "gd": {"w0": 1.0, "lr": 0.01, "epochs": 100},
    "sgd": {"w0": 1.0, "lr": 0.01, "epochs": 100, "seed": 0, "order": "random"},
    "minibatch": {"w0": 1.0, "lr": 0.01, "epochs": 100, "seed": 0, "order": "random", "batch_size": 2},
    "autograd": {"w0": 1.0, "lr": 0.01, "epochs": 100},
    "torch": {"lr": 0.01, "epochs": 100, "seed": 0, "optimizer": "sgd", "reduction": "sum", "device": "auto"},
    "backprop": {"hidden": 2, "lr": 0.01, "epochs": 100, "seed": 0},
}
COMMON = {"steps_per_second": None, "predict_at": 4.0}

# (smallest, largest) that is allowed; the next number beyond is not.
BOUNDS = {
    "lr": (5e-324, 1000.0),
    "epochs": (1, 10_000_000),
    "w0": (-1e100, 1e100),
    "w_start": (-1e100, 1e100),
    "w_stop": (-1e100, 1e100),
    "w_step": (5e-324, 1e100),
    "seed": (0, 2**32 - 1),
    "hidden": (1, 64),
    "batch_size": (1, 1_000_000_000),
    "steps_per_second": (5e-324, math.inf),
    "predict_at": (-1e100, 1e100),
}
fields = [(name, field) for name in METHODS for field in (*DEFAULTS[name], *COMMON)]
numeric = [(name, field) for name, field in fields if field in BOUNDS]


def refusal(name, **params):
    with pytest.raises(ValidationError) as error:
        METHODS[name].params(**params)
    (only,) = error.value.errors()
    assert only["loc"] == tuple(params)
    return only["msg"]


@pytest.mark.parametrize("name", METHODS)
def test_defaults(name):
    assert METHODS[name].params().model_dump() == DEFAULTS[name] | COMMON


@pytest.mark.parametrize(("name", "field"), numeric)
def test_bounds(name, field):
    smallest, largest = BOUNDS[field]
    whole = isinstance(smallest, int)
    for allowed in (smallest, largest):
        if math.isfinite(allowed):
            assert getattr(METHODS[name].params(**{field: allowed}), field) == allowed
    below = smallest - 1 if whole else math.nextafter(smallest, -math.inf)
    above = largest + 1 if whole else math.nextafter(largest, math.inf)
    for refused in (below, above, -above):
        assert "should be" in refusal(name, **{field: refused})


@pytest.mark.parametrize(("name", "field"), numeric)
@pytest.mark.parametrize("value", ["", "1", "text", True, False, [1], {"a": 1}, b"1"])
def test_only_numbers_are_numbers(name, field, value):
    assert "number, such as" in refusal(name, **{field: value})


@pytest.mark.parametrize(("name", "field"), numeric)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "NaN", "Infinity", "-Infinity"])
def test_numbers_are_finite(name, field, value):
    assert refusal(name, **{field: value}) == "Input should be a finite number"


@pytest.mark.parametrize(("name", "field"), numeric)
def test_huge_integers_are_refused(name, field):
    assert "should be" in refusal(name, **{field: 10**400})


@pytest.mark.parametrize(("name", "field"), [pair for pair in fields if pair[1] != "steps_per_second"])
def test_null_is_refused(name, field):
    refusal(name, **{field: None})


@pytest.mark.parametrize("field", ["epochs", "seed", "batch_size"])
def test_whole_numbers_may_be_written_with_a_point(field):
    value = getattr(METHODS["minibatch"].params(**{field: 100.0}), field)
    assert value == 100
    assert type(value) is int
    assert refusal("minibatch", **{field: 100.5}) == "Input should be a whole number, such as 100"


def test_numbers_may_be_written_without_a_point():
    assert type(METHODS["gd"].params(lr=1).lr) is float


@pytest.mark.parametrize("name", METHODS)
def test_unknown_parameters_are_refused(name):
    assert "not permitted" in refusal(name, speed=1)


@pytest.mark.parametrize(
    ("name", "field", "choices"),
    [
        ("sgd", "order", ["random", "sequential"]),
        ("minibatch", "order", ["random", "sequential"]),
        ("torch", "optimizer", ["sgd", "adam", "adagrad", "rmsprop", "adamax", "asgd", "rprop"]),
        ("torch", "reduction", ["sum", "mean"]),
        ("torch", "device", ["auto", "cpu", "cuda"]),
    ],
)
def test_choices(name, field, choices):
    assert METHODS[name].params.model_json_schema()["properties"][field]["enum"] == choices
    for choice in choices:
        assert getattr(METHODS[name].params(**{field: choice}), field) == choice
    for refused in ("", "SGD", 1, True):
        assert choices[0] in refusal(name, **{field: refused})


@pytest.mark.parametrize("name", METHODS)
def test_live_parameters_can_be_set_within_their_bounds(name):
    method = METHODS[name]
    params = method.params()
    for field in method.live:
        setattr(params, field, 0.5)
        assert getattr(params, field) == 0.5
        with pytest.raises(ValidationError):
            setattr(params, field, -1.0)
        assert getattr(params, field) == 0.5


@pytest.mark.parametrize("name", METHODS)
def test_schema_is_good_for_a_form(name):
    schema = METHODS[name].params.model_json_schema()
    assert "$defs" not in schema
    assert list(schema["properties"])[-2:] == list(COMMON)
    for field, about in schema["properties"].items():
        assert about["title"][0].isupper()
        assert "_" not in about["title"]
        assert about["description"].endswith(".")
        assert about["default"] == (DEFAULTS[name] | COMMON)[field]
        kind = about["anyOf"][0] if "anyOf" in about else about
        if "enum" in kind:
            assert kind["type"] == "string"
        else:
            assert kind["type"] == ("integer" if isinstance(BOUNDS[field][0], int) else "number")
            assert "minimum" in kind or "exclusiveMinimum" in kind
            assert "maximum" in kind or field == "steps_per_second"


def test_parameter_error_names_its_field():
    error = ParameterError("lr", "send less")
    assert isinstance(error, ValueError)
    assert (error.field, error.message, str(error)) == ("lr", "send less", "send less")


def test_every_method_has_the_common_parameters():
    assert set(Params.model_fields) == set(COMMON)
    assert all(issubclass(method.params, Params) for method in METHODS.values())
