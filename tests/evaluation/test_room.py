import warnings

import pytest
import torch

from robustfront.evaluation.room import Room


def no_memory() -> RuntimeError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_with_enough_memory_batches_are_as_large_as_asked_for() -> None:
    room = Room(4)
    assert room.pieces(10, lambda batch: (batch.start, batch.stop)) == [(0, 4), (4, 8), (8, 10)]
    assert room.whole(10, lambda size: size) == 4
    assert room.pieces(0, lambda batch: batch) == []
    assert room.size == 4


def test_batches_are_halved_until_they_fit_and_what_is_done_stays_done() -> None:
    asked: list[tuple[int, int]] = []

    def work(batch: slice) -> tuple[int, int]:
        asked.append((batch.start, batch.stop))
        if batch.start >= 8 and batch.stop - batch.start > 3:
            raise no_memory()
        return asked[-1]

    room = Room(8)
    with pytest.warns(UserWarning, match="memory ran out: from here on 3 images at once"):
        assert room.pieces(14, work) == [(0, 8), (8, 11), (11, 14)]
    assert asked == [(0, 8), (8, 14), (8, 11), (11, 14)]
    assert room.size == 3


def test_few_images_are_halved_themselves() -> None:
    tried: list[int] = []

    def work(size: int) -> int:
        tried.append(size)
        if size > 3:
            raise no_memory()
        return size

    with pytest.warns(UserWarning, match="memory ran out"):
        assert Room(500).whole(12, work) == 3
    assert tried == [500, 6, 3]


@pytest.mark.parametrize("how", ["pieces", "whole"])
def test_one_image_that_does_not_fit_is_the_end(how: str) -> None:
    def work(batch: object) -> None:
        raise no_memory()

    room = Room(8)
    with pytest.warns(UserWarning, match="memory ran out"), pytest.raises(torch.OutOfMemoryError):
        getattr(room, how)(20, work)
    assert room.size == 1


def test_other_errors_are_raised_at_once() -> None:
    def work(size: int) -> None:
        raise RuntimeError("shapes do not fit")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="shapes"):
            Room(8).whole(8, work)


def test_a_real_allocation_that_fails_is_seen() -> None:
    def work(size: int) -> int:
        torch.empty(2**55 if size > 2 else 1)
        return size

    with pytest.warns(UserWarning, match="memory ran out"):
        assert Room(8).whole(8, work) == 2
