"""What is a score worth where cells tie? Its expected value over all orders of the tied cells, in closed form.

A map gives tied cells no order, and any order that a program puts them in (row by row, say) is a score's luck. When
`taken` of `tied` cells belong to a set, of which `inside` lie in the region, each choice of them is equally likely, so
the number of hits among them is hypergeometric. A count of hits has the mean `taken * inside / tied`; an IoU is not
linear in it, so its values are weighed by the hypergeometric distribution.
"""

from __future__ import annotations

import numpy as np


def expected_iou(
    above: np.ndarray, inside: np.ndarray, tied: np.ndarray, taken: np.ndarray, region: int, size: np.ndarray
) -> np.ndarray:
    """The mean IoU of a region with sets that hold some cells surely and others by lot.

    Args:
        above: int [n], cells that are in the set surely and lie in the region.
        inside: int [n], tied cells that lie in the region.
        tied: int [n], tied cells.
        taken: int [n], how many of the tied cells are in the set.
        region: cells of the region.
        size: int [n], cells of the set, `taken` among them.

    Returns:
        float64 [n]: the sum over j of P(j) (above + j) / (region + size - above - j), where P(j) is the probability
        C(inside, j) C(tied - inside, taken - j) / C(tied, taken) that j of the tied cells drawn lie in the region.
    """
    above, inside, tied, taken, size = map(np.asarray, (above, inside, tied, taken, size))
    sure = (taken == tied) | (inside == 0) | (inside == tied)
    hits = above + np.where(inside == 0, 0, taken)  # where it is sure
    hits = np.where(taken == tied, above + inside, hits)
    result = np.divide(hits, region + size - hits, dtype=np.float64)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(tied.max(initial=0)) + 1)))])  # of factorials

    def choose(many: np.ndarray | int, some: np.ndarray) -> np.ndarray:
        return logs[many] - logs[some] - logs[many - some]

    for n in np.flatnonzero(~sure):
        j = np.arange(max(0, taken[n] - (tied[n] - inside[n])), min(inside[n], taken[n]) + 1)
        chance = np.exp(choose(inside[n], j) + choose(tied[n] - inside[n], taken[n] - j) - choose(tied[n], taken[n]))
        values = (above[n] + j) / (region + size[n] - above[n] - j)
        result[n] = chance @ values / chance.sum()  # the sum is 1 but for rounding
    return result
