"""A small GPT-2 learns to add with Hugging Face's Trainer: `python examples/sums_transformers.py`.

LossboardCallback is all that is added; the text is made up, and nothing is downloaded.
"""

from __future__ import annotations

import argparse
import random

from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from lossboard_extras.transformers import LossboardCallback

CHARACTERS = "0123456789+=\n"


def main() -> None:
    """Train, with an evaluation every 20 steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()

    random.seed(0)
    sizes = {"n_positions": 8, "n_embd": 64, "n_layer": 2, "n_head": 4}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(CHARACTERS), bos_token_id=12, eos_token_id=12, **sizes))
    arguments = TrainingArguments(
        output_dir="sums",
        max_steps=args.steps,
        learning_rate=3e-3,
        per_device_train_batch_size=32,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=20,
        save_strategy="no",
        use_cpu=True,
        report_to=[],
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=[made_up() for _ in range(2000)],
        eval_dataset=[made_up() for _ in range(100)],
        callbacks=[LossboardCallback("sums", tags=["transformers"])],
    )
    trainer.train()


def made_up() -> dict[str, list[int]]:
    """The characters of a sum, such as 7+8=15, as numbers."""
    one, other = random.randrange(10), random.randrange(10)
    tokens = [CHARACTERS.index(character) for character in f"{one}+{other}={one + other:02}\n"]
    return {"input_ids": tokens, "labels": tokens}


if __name__ == "__main__":
    main()
