"""Attention over a packed of rows, beside torch's own over each row alone: values and gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from arkor_dev.local.cpu_kernels.attention import BLOCK, CurrentBatch, attend  # noqa: E402
from arkor_dev.local.cpu_kernels.packing import GROUP_AREA, pack_rows  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")
IGNORED = -100
HEADS, KEYS, SIZE = 6, 2, 16
LENGTHS = {
    "alike": [40, 44, 41, 38],
    "the first in the middle": [40, 44, 38, 90, 88],
    "short and long": [30, BLOCK + 70, 33, 150],
    "one": [25],
    "more than are taken together": [60] * 24,
}


@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_packed_rows_attend_as_single_ones(dtype: object, lengths: list[int], shared: int) -> None:
    beginning = list(range(shared))
    rows = [beginning + [1000 * row + place for place in range(10, 10 + n - shared)]
            for row, n in enumerate(lengths, 1)]  # fmt: skip
    check(rows, shared * (len(rows) - 1), dtype)


def test_packed_pairs_share_their_prompts() -> None:
    every, prompts = list(range(20)), [list(range(100 * n, 100 * n + 5 + n)) for n in (1, 2, 3)]
    rows = [every + prompt + [n, n + 1] * (3 + n % 40) for prompt in prompts for n in (prompt[0], 77)]
    check(rows, 20 * 5 + 6 + 7 + 8, torch.float32)


def check(rows: list[list[int]], saved: int, dtype: object) -> None:
    packed = pack_rows([(row, row) for row in rows], IGNORED)
    assert packed.saved == saved
    places = packed.ids.shape[1]
    torch.manual_seed(0)
    query, key, value = given = [
        torch.randn(1, places, heads, SIZE, dtype=dtype).transpose(1, 2).requires_grad_()
        for heads in (HEADS, KEYS, KEYS)
    ]
    wanted = torch.randn(1, places, HEADS, SIZE, dtype=dtype)

    CurrentBatch.packed = packed
    try:
        out, _ = attend(torch.nn.Identity(), query, key, value, None)
    finally:
        CurrentBatch.packed = None
    out.backward(wanted)
    found = [out.detach(), *(tensor.grad for tensor in given)]

    alone = [tensor.detach().float().requires_grad_() for tensor in given]
    parts = []
    for row, spans in zip(rows, packed.rows, strict=True):
        index = torch.tensor([place for _, start, end in spans for place in range(start, end)])
        assert packed.ids[0, index].tolist() == row
        q, k, v = (tensor.index_select(2, index) for tensor in alone)
        k, v = (tensor.repeat_interleave(HEADS // KEYS, 1) for tensor in (k, v))
        made = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        parts.append(made[:, spans[-1].at :])
    known = torch.cat(parts, 1)
    known.backward(wanted.float())
    bound = 1e-5 if dtype == torch.float32 else 0.02
    for one, other in zip(found, [known.detach(), *(tensor.grad for tensor in alone)], strict=True):
        assert (one.float() - other).norm() < bound * other.norm()


def test_rows_of_similar_length_are_packed_together() -> None:
    rows = [[number] * length for number, length in enumerate((40, 300, 41, 10, 39))]
    packed = pack_rows([(row, row) for row in rows], IGNORED)
    assert [(group.rows, group.length) for group in packed.groups] == [(1, 300), (3, 41), (1, 10)]
    many = pack_rows([([number] * 60, [number] * 60) for number in range(24)], IGNORED)
    assert all(group.rows * group.length**2 <= GROUP_AREA for group in many.groups)
    assert sum(group.rows for group in many.groups) == 24
