"""The callbacks of libraries, each with the real one; skipped where that is not installed (group integrations)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.extras.fake_run import FakeRun

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries warn of each other


def test_lightning(begun: list[FakeRun], tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    import torch  # noqa: PLC0415

    from lossboard_extras.lightning import LossboardLogger  # noqa: PLC0415

    class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, lr: float) -> None:  # noqa: ARG002 - it is in hparams
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002
            loss = (self.layer(batch) ** 2).mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])

    logger = LossboardLogger("line", group="lines")
    off = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    trainer = lightning.Trainer(
        max_steps=3, log_every_n_steps=1, logger=logger, accelerator="cpu", default_root_dir=tmp_path, **off
    )
    trainer.fit(Line(lr=0.1), torch.utils.data.DataLoader(torch.ones(8, 1), batch_size=2))
    [run] = begun
    assert (run.about["name"], run.about["group"], run.about["params"]) == ("line", "lines", {"lr": 0.1})
    assert [step for step, metrics in run.points if "train_loss" in metrics] == [0, 1, 2]
    assert run.ended == "finished"
    run.should_stop = True
    with pytest.raises(KeyboardInterrupt):
        logger.log_metrics({"loss": 1.0}, step=3)


def test_transformers(begun: list[FakeRun], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    import torch  # noqa: PLC0415

    from lossboard_extras.transformers import LossboardCallback  # noqa: PLC0415

    sizes = {"vocab_size": 8, "n_positions": 4, "n_embd": 4, "n_layer": 1, "n_head": 1}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    tokens = torch.arange(4)
    options = {"logging_steps": 1, "report_to": [], "save_strategy": "no", "use_cpu": True, "disable_tqdm": True}
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), max_steps=5, **options)
    callback = LossboardCallback("tiny")
    data = [{"input_ids": tokens, "labels": tokens}] * 8
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=data, callbacks=[callback])

    class StopAtTwo(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            begun[0].should_stop = state.global_step >= 2  # which is heeded after the next step

    trainer.add_callback(StopAtTwo())
    trainer.train()
    [run] = begun
    assert (run.about["name"], run.about["params"]["max_steps"], run.about["params"]["model"]["n_embd"]) == (
        "tiny",
        5,
        4,
    )
    assert [step for step, metrics in run.points if "loss" in metrics] == [1, 2, 3]
    assert run.error is None


def test_keras(begun: list[FakeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    import numpy as np  # noqa: PLC0415

    from lossboard_extras.keras import LossboardCallback  # noqa: PLC0415

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    x = np.ones((4, 1))
    model.fit(x, x, epochs=2, batch_size=2, validation_data=(x, x), callbacks=[LossboardCallback("dense")], verbose=0)
    [run] = begun
    assert run.about["name"] == "dense"
    assert [(step, sorted(metrics)) for step, metrics in run.points] == [
        (0, ["batch_loss"]),
        (1, ["batch_loss"]),
        (1, ["epoch", "loss", "val_loss"]),
        (2, ["batch_loss"]),
        (3, ["batch_loss"]),
        (3, ["epoch", "loss", "val_loss"]),
    ]
    assert run.error is None


def test_scikit_learn(begun: list[FakeRun]) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    pytest.importorskip("sklearn.callback")
    import numpy as np  # noqa: PLC0415

    from lossboard_extras.sklearn import LossboardCallback  # noqa: PLC0415

    x = np.arange(20.0).reshape(10, 2)
    y = np.arange(10) > 4
    model = linear_model.LogisticRegression(C=0.5, max_iter=3).set_callbacks(LossboardCallback(group="digits"))
    model.fit(x, y)
    model.fit(x, y)
    assert [run.about["name"] for run in begun] == ["LogisticRegression", "LogisticRegression"]
    assert (begun[0].about["group"], begun[0].about["params"]["C"], begun[0].error) == ("digits", 0.5, None)
    steps = [step for step, _ in begun[0].points]
    assert steps == list(range(len(steps)))
    assert steps
    assert all(0 <= metrics["train_score"] <= 1 for _, metrics in begun[0].points)
