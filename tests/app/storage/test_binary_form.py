"""Posts in the client's binary form: plain ones, and those with several kinds of records."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage import binary_form
from app.storage.batch import MAX_PART_BYTES, Batch, Floats
from app.storage.binary_form import Block, merge, parse, write

KINDS = [("loss",), ("acc", "auc"), (), ("loss", "w")]


def block(names: tuple[str, ...], *numbers: int) -> Block:
    """Records with these numbers; the step of each is twice its number, and its values are half a one above it."""
    rows = [[2 * number or -0.0, number, *(number + 0.5 for name in names)] for number in numbers]
    return Block(names, np.array(rows, dtype=float).reshape(len(numbers), 2 + len(names)))


def logged(batches: list[Batch]) -> list[tuple[int, float, dict[str, float]]]:
    """Number, step and values of each record."""
    found = []
    for batch in batches:
        for place in range(len(batch)):
            point = batch.point(place)
            found.append((batch.seq + place, point.step, point.values))
    return found


def expected(blocks: list[Block]) -> list[tuple[int, float, dict[str, float]]]:
    """The same of blocks, up to the first number that is missing."""
    rows = {
        int(number): (step, dict(zip(one.names, values, strict=True)))
        for one in blocks
        for step, number, *values in one.rows.tolist()
    }
    end = next(number for number in range(len(rows) + 1) if number not in rows)
    return [(number, *rows[number]) for number in range(end)]


def body(head: dict[str, Any], *rows: Floats) -> bytes:
    return json.dumps(head).encode() + b"\n" + b"".join(some.tobytes() for some in rows)


def test_a_plain_post() -> None:
    post = parse(body({"seq": 3, "metrics": ["loss"]}, np.array([-0.0, 7.0, 4.0, 8.0, 0.0, 0.0])))
    (batch,) = post.batches
    assert (batch.seq, batch.names, batch.rows.tolist()) == (3, ("loss",), [[0, 7], [4, 8]])
    assert not np.signbit(batch.rows[0, 0])
    assert (post.changes, post.after_gap, post.unchecked) == ([], False, False)


@given(st.lists(st.integers(0, len(KINDS) - 1), max_size=60), st.randoms(use_true_random=False))
def test_blocks_come_in_the_order_of_their_numbers(kinds: list[int], chance: Any) -> None:
    numbers = {kind: [number for number, one in enumerate(kinds) if one == kind] for kind in set(kinds)}
    for some in numbers.values():
        chance.shuffle(some)
    blocks = [block(KINDS[kind], *some) for kind, some in numbers.items()]
    for post in (parse(write(0, blocks)), parse(write(0, blocks, unchecked=True))):
        assert logged(list(post.batches)) == expected(blocks)
    assert len(logged(merge(0, blocks))) == len(kinds)


def test_blocks_end_before_the_first_number_that_none_has() -> None:
    blocks = [block(("loss",), 0, 1, 4), block(("acc",), 2, 5)]
    assert logged(list(parse(write(0, blocks)).batches)) == expected(blocks)
    assert [number for number, _, _ in logged(merge(0, blocks))] == [0, 1, 2]
    assert [number for number, _, _ in logged(merge(1, blocks))] == [1, 2]
    (nothing,) = merge(3, blocks)
    assert (nothing.seq, len(nothing)) == (3, 0)


def test_a_record_that_is_not_written_ends_them_as_well() -> None:
    rows = block(("loss",), 0, 1, 2).rows
    rows[1] = 0
    rows[0, 0] = -0.0
    head = {"version": 2, "seq": 0, "blocks": [{"metrics": ["loss"], "records": 3}, {"metrics": [], "records": 0}]}
    assert logged(list(parse(body(head, rows)).batches)) == [(0, 0.0, {"loss": 0.5})]


def test_of_each_block_is_told_how_many_of_its_first_records_are_taken() -> None:
    blocks = [block(("loss",), 0, 2, 1, 6), block(("acc",), 3, 4), block((), 5)]
    blocks[2].rows[0, 0] = 0  # not written yet
    post = parse(write(0, blocks))
    assert [batch.seq + len(batch) for batch in post.batches][-1] == 5
    assert post.taken(5) == [3, 2, 0]
    assert post.taken(2) == [1, 0, 0]  # as after a failure of the disk, say
    assert parse(body({"seq": 0, "metrics": ["loss"]}, np.array([-0.0, 7.0]))).taken(1) == []


def test_of_two_records_with_one_number_the_first_counts() -> None:
    assert logged(merge(0, [block(("loss",), 0), block(("acc",), 0, 1)])) == [
        (0, 0, {"loss": 0.5}),
        (1, 2, {"acc": 1.5}),
    ]


def test_many_kinds_take_bounded_memory() -> None:
    blocks = [block((f"metric{kind}",), *range(kind, 30_000, 300)) for kind in range(300)]
    batches = merge(0, blocks)
    assert max(batch.rows.nbytes for batch in batches) <= MAX_PART_BYTES
    assert [number for number, _, _ in logged(batches)] == list(range(30_000))


@pytest.mark.parametrize(
    ("head", "rows", "words"),
    [
        ({"seq": 0, "blocks": []}, [], "version must be 2"),
        ({"version": 2, "seq": 0, "blocks": {}}, [], "blocks must be a list"),
        ({"version": 2, "seq": 0, "blocks": [5]}, [], "blocks must be a list"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a", "a"], "records": 0}]}, [], "names one metric twice"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"]}]}, [], "records of each block must be"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": -1}]}, [], "records of each block must be"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": 2}]}, [1, 0, 5], "the blocks are cut"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": 1}]}, [1, 0, 5, 6], "8 bytes follow"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": 1}]}, [1, 0.5, 5], "every number"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": 1}]}, [1, np.nan, 5], "every number"),
        ({"version": 2, "seq": 0, "blocks": [{"metrics": ["a"], "records": 1}]}, [1e300, 0, 5], "every step"),
        ({"seq": 0, "metrics": [], "after_gap": 1}, [], "after_gap must be true or false"),
        ({"seq": 0, "metrics": [], "unchecked": "yes"}, [], "unchecked must be true or false"),
    ],
)
def test_what_is_wrong_is_named(head: dict[str, Any], rows: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(body(head, np.array(rows, dtype=float)))


def test_too_many_metrics_in_all_blocks_are_refused() -> None:
    blocks = [{"metrics": [f"{kind}.{number}" for number in range(600)], "records": 0} for kind in range(2)]
    with pytest.raises(ValueError, match="at most 1000 names in all blocks"):
        parse(body({"version": binary_form.BLOCKS_VERSION, "seq": 0, "blocks": blocks}))
