"""What each tool's user writes in a training script: how to begin, what to call at a step, how to end.

This runs in the training process, so each function imports its own tool and nothing else is imported at all.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable

type Log = Callable[[int, float, float], object]  # the step, w and the loss
type Finish = Callable[[], object]


def nothing(_run: str) -> tuple[Log, Finish]:
    """The plain loop: a function that does nothing, as calling one is not what a tool adds."""
    return (lambda step, w, loss: None), (lambda: None)  # noqa: ARG005


def a_list(_run: str) -> tuple[Log, Finish]:
    """The floor: points kept in memory and shown to nobody."""
    points: list[tuple[int, float, float]] = []
    append = points.append
    return (lambda step, w, loss: append((step, w, loss))), (lambda: None)


def lossboard(run: str) -> tuple[Log, Finish]:
    """The board is at LOSSBOARD_URL."""
    import lossboard

    reported = lossboard.run(run, params={"lr": 1e-6})
    log = reported.log
    return (lambda step, w, loss: log(loss=loss, w=w)), reported.finish  # noqa: ARG005  (it counts by itself)


def tensorboard(run: str) -> tuple[Log, Finish]:
    """Torch's SummaryWriter with its defaults; its folder is the working directory's ``run``."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(run)
    add = writer.add_scalar

    def log(step: int, w: float, loss: float) -> None:
        add("loss", loss, step)
        add("w", w, step)

    return log, writer.close


def trackio(run: str) -> tuple[Log, Finish]:
    """A project of that name in TRACKIO_DIR."""
    import trackio

    trackio.init(project=run, name=run)
    log = trackio.log
    return (lambda step, w, loss: log({"loss": loss, "w": w}, step=step)), trackio.finish


def wandb(run: str) -> tuple[Log, Finish]:
    """Offline, as WANDB_MODE says; its folder is WANDB_DIR."""
    import wandb

    reported = wandb.init(project="benchmarks", name=run, id=run)
    log = reported.log
    return (lambda step, w, loss: log({"loss": loss, "w": w}, step=step)), reported.finish


def visdom(run: str) -> tuple[Log, Finish]:
    """A window per metric, a point appended to it at every step; the server's port is in VISDOM_PORT."""
    import os

    from visdom import Visdom

    server = Visdom(port=int(os.environ["VISDOM_PORT"]), base_url="/visdom", env=run, raise_exceptions=True)

    def log(step: int, w: float, loss: float) -> None:
        server.line(X=[step], Y=[loss], win="loss", update="append" if step else None)
        server.line(X=[step], Y=[w], win="w", update="append" if step else None)

    return log, (lambda: None)


def swanlab(run: str) -> tuple[Log, Finish]:
    """Offline; its folder is the working directory's ``swanlog``."""
    import swanlab

    swanlab.init(project="benchmarks", name=run, mode="offline", log_dir="swanlog")
    return (lambda step, w, loss: swanlab.log({"loss": loss, "w": w}, step=step)), swanlab.finish


def goodseed(run: str) -> tuple[Log, Finish]:
    """Into a local file of the working directory, without what it records of the machine and of the terminal."""
    import goodseed

    reported = goodseed.Run(
        project="benchmarks",
        name=run,
        goodseed_home=".",
        storage="local",
        capture_hardware_metrics=False,
        capture_stdout=False,
        capture_stderr=False,
    )
    log = reported.log_metrics
    return (lambda step, w, loss: log({"loss": loss, "w": w}, step=step)), reported.close


def rerun(run: str) -> tuple[Log, Finish]:
    """Into a file of the working directory."""
    import rerun

    rerun.init(run)
    rerun.save(f"{run}.rrd")

    def log(step: int, w: float, loss: float) -> None:
        rerun.set_time("step", sequence=step)
        rerun.log("loss", rerun.Scalars(loss))
        rerun.log("w", rerun.Scalars(w))

    return log, rerun.disconnect


LOGGERS: dict[str, Callable[[str], tuple[Log, Finish]]] = {
    "nothing": nothing,
    "list": a_list,
    "lossboard": lossboard,
    "tensorboard": tensorboard,
    "trackio": trackio,
    "wandb": wandb,
    "visdom": visdom,
    "swanlab": swanlab,
    "goodseed": goodseed,
    "rerun": rerun,
}
