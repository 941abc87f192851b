"""A method in the terminal: python -m trainers gd --lr 0.05."""

import argparse
import json
import os
import re
import sys
import threading
import time
from typing import Any, NoReturn

from pydantic import ValidationError

from trainers import METHODS, Method, ParameterError, Params
from trainers.method import DIVERGED, has_diverged
from trainers.problem import TEXTBOOK, Data, make_data, sample_losses

MAX_LINES = 100
FEW_SAMPLES = 5  # up to so many samples a sweep shows each one's loss


class UsageError(Exception):
    """What was typed cannot be run; the message is one sentence for the person who typed it."""


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class Progress:
    """A bar on stderr while a long run goes on, if that is a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.visible = False
        self.next = time.monotonic() + 0.5 if sys.stderr.isatty() else float("inf")

    def show(self, step: int) -> None:
        """Draws the bar, at most ten times a second."""
        now = time.monotonic()
        if now >= self.next:
            self.next = now + 0.1
            done = step / self.total
            sys.stderr.write(f"\r[{'#' * int(40 * done):40}] {done:4.0%}")
            sys.stderr.flush()
            self.visible = True

    def hide(self) -> None:
        """Takes the bar away, so that a line can be printed in its place."""
        if self.visible:
            sys.stderr.write("\r" + " " * 50 + "\r")
            sys.stderr.flush()
            self.visible = False


def main(arguments: list[str] | None = None) -> int:
    """Runs what the arguments say; returns the exit code: 0, 1 for a run that failed, 2 for a bad option."""
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(f"python -m trainers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(arguments: list[str]) -> int:
    """Reads the options, then trains and prints."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print_methods()
        return 0
    if arguments[0] not in METHODS:
        raise UsageError(f"there is no method {arguments[0]!r}: choose one of {', '.join(METHODS)}")
    method = METHODS[arguments[0]]
    params, data = read_options(method, arguments[1:])
    try:
        return train(method, params, data)
    except ValueError as error:  # such as a device that is not there
        raise UsageError(str(error)) from None
    except ModuleNotFoundError as error:
        raise UsageError(f"{method.name} needs {error.name}, which is not installed") from None


def print_methods() -> None:
    """The list of methods, as help."""
    print("usage: python -m trainers METHOD [options]\n\nMethods:")
    for method in METHODS.values():
        print(f"  {method.name:10} {method.description}")
    print("\npython -m trainers METHOD --help lists the options of one.")


def option(name: str) -> str:
    """The option of a parameter: w_start is --w-start."""
    return "--" + name.replace("_", "-")


def make_parser(method: Method[Any]) -> Parser:
    """A parser whose options are the method's parameters, as its schema describes them."""
    parser = Parser(
        prog=f"python -m trainers {method.name}", description=method.description, allow_abbrev=False
    )
    for name, schema in method.params.model_json_schema()["properties"].items():
        default = schema.get("default")
        about = schema["description"] if default is None else f"{schema['description']} Default: {default}."
        parser.add_argument(
            option(name),
            dest=name,
            metavar="|".join(schema["enum"]) if "enum" in schema else name.rpartition("_")[2].upper(),
            help=about.replace("%", "%%"),
        )
    for column, values in (("x", TEXTBOOK.x), ("y", TEXTBOOK.y)):
        shown = ",".join(f"{value:g}" for value in values)
        parser.add_argument(f"--{column}", metavar="1,2,3", help=f"The samples' {column}. Default: {shown}.")
    return parser


def read_options(method: Method[Any], arguments: list[str]) -> tuple[Params, Data]:
    """The parameters and the data that the arguments ask for. Raises UsageError if they are not right."""
    given = vars(make_parser(method).parse_args(join_negative_values(arguments)))
    columns = {name: given.pop(name) for name in ("x", "y")}
    try:
        data = TEXTBOOK
        if columns["x"] is not None or columns["y"] is not None:
            data = make_data(*(numbers(name, columns[name]) for name in ("x", "y")))
        params = method.params(**{name: value_of(text) for name, text in given.items() if text is not None})
        method.check(params, len(data))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{option(str(first['loc'][0]))}: {first['msg']}") from None
    except ParameterError as error:
        raise UsageError(f"{option(error.field)}: {error.message}") from None
    return params, data


def join_negative_values(arguments: list[str]) -> list[str]:
    """--x -1,2 as --x=-1,2, as argparse would take -1,2 for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and re.fullmatch("--[a-z][a-z0-9-]*", joined[-1]) and re.match(r"-[\d.a-z]", argument, re.IGNORECASE):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def value_of(text: str) -> int | float | str:
    """A number if the text is one, for the method's parameters to judge."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def numbers(name: str, text: str | None) -> list[float]:
    """The numbers of a list such as 1,2,3."""
    if text is None:
        raise ParameterError(name, "send both --x and --y, or neither")
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise ParameterError(name, f"{text!r} is not a list of numbers such as 1,2,3") from None


def train(method: Method[Any], params: Params, data: Data) -> int:
    """Trains and prints what the textbook prints; returns the exit code."""
    epoch = method.updates_per_epoch(params, len(data))
    total = method.total_steps(params, len(data))
    lines = total // epoch
    if lines == 1:
        epoch, lines = 1, total  # a sweep: one line per candidate
    names = method.metrics(params)
    values = method.initial(params)
    at = params.predict_at
    print("predict (before training)", short(at), method.predict(values, at))
    progress = Progress(total)
    steps = method.train(data, params)
    for step in range(total):
        if params.steps_per_second:
            time.sleep(min(1 / params.steps_per_second, threading.TIMEOUT_MAX))
        try:
            point = next(steps)
        except OverflowError:
            point = (float("inf"),) * len(names)
        values = dict(zip(names, point, strict=True))
        if has_diverged(values["w"], values["loss"]):
            progress.hide()
            sys.stdout.flush()
            print(
                f"diverged in {where(step, epoch)}: w or the loss is beyond {DIVERGED:g}; try a smaller --lr",
                file=sys.stderr,
            )
            return 1
        progress.show(step)
        if (step + 1) % epoch == 0 and is_shown(step // epoch, lines):
            progress.hide()
            print(line(method, values, step, epoch, data))
    progress.hide()
    print("predict (after training)", short(at), method.predict(values, at))
    return 0


