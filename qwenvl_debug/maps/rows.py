"""The attention of the tokens that ask, averaged: one row per layer and head, computed once and kept for a while.

Changing the normalisation, the sinks or the picture needs the same rows again. Computing them anew from a long trace
takes longer than a person should wait for a control, so the last ones are kept: at most `KEPT_BYTES` in all, each no
longer than its trace lives.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.maps.query import Query, rows_of, weights_of

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

KEPT_BYTES = 256_000_000
"""Room for the rows of about 40 queries of a model of 36 layers and 32 heads at 1,300 tokens."""

_kept: OrderedDict[tuple, np.ndarray] = OrderedDict()
_watched: set[int] = set()
_lock = RLock()  # re-entrant, for a trace may be freed, and so forgotten, at any moment of this thread


def averaged_rows(run: Run, query: Query) -> np.ndarray:
    """The rows of a query's tokens, averaged with the weights that `weights_of` states.

    Returns:
        float32 [layers, heads, tokens], read-only; each row sums to 1; NaN for layers without a map.

    Raises:
        QueryError: the query names no token, or one that the run does not have.
        CaptureError: the run did not keep the rows of these tokens.
    """
    rows, weights = rows_of(run, query), weights_of(run, query)
    key = ("average", tuple(rows), tuple(weights))
    return remembered((run.trace,), key, lambda: average(run, rows, weights))


def average(run: Run, rows: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """Rows of every layer and head averaged by `weights` [rows], which sum to 1; see `averaged_rows`."""
    trace = run.trace
    result = np.full((trace.n_layers, trace.n_heads, len(run.tokens)), np.nan, dtype=np.float32)
    say = np.asarray(weights, np.float32)  # a product in float32: float64 takes twice as long and says the same
    for layer in trace.layers:
        result[layer] = say @ trace.weights(layer, rows=rows)
    return result


def remembered(traces: Sequence[Any], key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
    """What `make` returns, made once for these very traces and this key, and read-only.

    Two threads that ask for the same at once may both make it; they get equal arrays.
    """
    key = (tuple(id(trace) for trace in traces), *key)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = make()
    made.setflags(write=False)
    with _lock:
        for trace in traces:
            if id(trace) not in _watched:
                _watched.add(id(trace))
                weakref.finalize(trace, _forget, id(trace))
        _kept[key] = made
        while len(_kept) > 1 and sum(array.nbytes for array in _kept.values()) > KEPT_BYTES:
            _kept.popitem(last=False)
    return made


def _forget(trace: int) -> None:
    """Another object may get the number of a freed trace, so nothing may be found under it."""
    with _lock:
        _watched.discard(trace)
        for key in [key for key in _kept if trace in key[0]]:
            del _kept[key]
