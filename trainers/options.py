"""A method's parameters and data as options of a command line, built from the parameters' own schema."""

import argparse
import re
from typing import Any, NoReturn

from pydantic import ValidationError

from trainers.method import Method
from trainers.numbers import short
from trainers.params import ParameterError, Params
from trainers.problem import TEXTBOOK, Data, make_data


class UsageError(Exception):
    """Arguments that cannot be run; the message is one sentence that says what is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise UsageError where argparse would print the usage and exit."""
        raise UsageError(message)


def read_options(method: Method[Any], arguments: list[str]) -> tuple[Params, Data]:
    """The parameters and the data that the arguments give. Raises UsageError for one that is wrong."""
    given = vars(make_parser(method).parse_args(_join_negative_values(arguments)))
    x, y = given.pop("x"), given.pop("y")
    try:
        data = TEXTBOOK if x is None and y is None else make_data(_numbers("x", x), _numbers("y", y))
        params = method.params(**{name: _value(text) for name, text in given.items() if text is not None})
        method.check(params, len(data))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{_option(str(first['loc'][0]))}: {first['msg']}") from None
    except ParameterError as error:
        raise UsageError(f"{_option(error.field)}: {error.message}") from None
    return params, data


def make_parser(method: Method[Any]) -> argparse.ArgumentParser:
    """A parser with one option for each of the method's parameters, and --x and --y for the data."""
    parser = _Parser(prog=f"python -m trainers {method.name}", description=method.description, allow_abbrev=False)
    for name, schema in method.params.model_json_schema()["properties"].items():
        default = schema.get("default")
        about = schema["description"] if default is None else f"{schema['description']} Default: {default}."
        parser.add_argument(
            _option(name),
            metavar="|".join(schema["enum"]) if "enum" in schema else "NUMBER",
            help=about.replace("%", "%%"),
        )
    for name, values in (("x", TEXTBOOK.x), ("y", TEXTBOOK.y)):
        shown = ",".join(short(value) for value in values)
        parser.add_argument(f"--{name}", metavar="NUMBERS", help=f"The samples' {name}. Default: {shown}.")
    return parser


def _option(name: str) -> str:
    """The option of a parameter: w_start is --w-start."""
    return "--" + name.replace("_", "-")


def _join_negative_values(arguments: list[str]) -> list[str]:
    """Each option and a negative value after it as one argument: argparse takes -1,2 in --x -1,2 for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and re.fullmatch("--[a-z][a-z0-9-]*", joined[-1]) and re.match(r"-[\d.]", argument):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def _value(text: str) -> int | float | str:
    """The text as an int or a float if it is one; the method's parameters are validated later."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _numbers(name: str, text: str | None) -> list[float]:
    if text is None:
        raise ParameterError(name, "send both --x and --y, or neither")
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise ParameterError(name, f"{text!r} is not a list of numbers such as 1,2,3") from None
