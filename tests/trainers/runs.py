"""Running a trainer in a test."""

from trainers import METHODS
from trainers.problem import TEXTBOOK


def train(name, data=TEXTBOOK, **params):
    """All points of a run, each a dictionary."""
    method = METHODS[name]
    chosen = method.params(**params)
    names = method.metrics(chosen)
    return [dict(zip(names, point, strict=True)) for point in method.train(data, chosen)]


def column(points, metric):
    return [point[metric] for point in points]


def predict(name, point, x=4.0):
    return METHODS[name].predict(point, x)
