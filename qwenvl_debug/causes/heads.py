"""What every head, MLP and the embedding write towards one answer or the other, and what becomes without a head.

*Direct contributions* (direct logit attribution; Elhage et al. 2021, nostalgebraist 2020): the residual stream is a
sum, and the final norm, its divisor held, and the unembedding are linear; so the logit difference is the sum of what
each part wrote into it. A head can matter without writing anything there itself, by what later layers make of it: for
that there is *ablation*, which replaces what it writes everywhere, by zero or by its mean over a reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from qwenvl_debug.causes.effect import Effect, answer_under
from qwenvl_debug.causes.interventions import AblateHeads
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.causes.subject import Subject, subject_of
from qwenvl_debug.errors import CauseError
from qwenvl_debug.model.taps import Place

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.model import Run

ROUNDING = 1e-3
"""Greatest relative difference between the final norm and its linear form that rounding explains."""


@dataclass(frozen=True)
class Contributions:
    """What each part wrote into the logit difference, where the answers part.

    Attributes:
        heads: float64 [layers, heads], in logits, positive towards the expected answer; NaN in layers that have no
            heads of this kind (linear attention).
        attention: float64 [layers], what the attention block of each layer wrote in all, its bias included.
        mlp: float64 [layers].
        embedding: what was there before the first layer.
        total: the logit difference; the sum of embedding, attention and mlp, to rounding.
    """

    heads: np.ndarray
    attention: np.ndarray
    mlp: np.ndarray
    embedding: float
    total: float

    def table(self) -> pandas.DataFrame:
        """One line a head: layer, head, contribution; the largest in size first."""
        import pandas as pd

        layers, heads = self.heads.shape
        lines = [(layer, head, float(self.heads[layer, head])) for layer in range(layers) for head in range(heads)]
        table = pd.DataFrame(lines, columns=["layer", "head", "contribution"]).dropna()
        return table.sort_values("contribution", key=abs, ascending=False, kind="stable", ignore_index=True)


def contributions(run: Run | Subject, *, expected: str | None = None, cancel: Event | None = None) -> Contributions:
    """Part the logit difference into what each head and MLP wrote.

    Of each answer the token counts that it has itself, and no other spelling.

    Args:
        run: a run that answered wrongly by itself, or a subject.
        expected: the right answer; by default what the case expects.
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: there is no failure to explain, or the model's final norm does not scale each channel (Qwen4-Exp
            mixes several streams there).
    """
    subject = subject_of(run, expected, cancel)
    model, kept = subject.model, subject.pass_
    places = model.generation.places(model.network)
    with model.turn(cancel), torch.no_grad():
        last = kept.state(kept.layers)[-1]
        scale = _scale(places.norm, last)
        ids = [subject.contrast.expected_ids[0], subject.contrast.given_ids[0]]
        rows = places.unembedding.weight[ids].float()
        direction = (rows[0] - rows[1]).to(last.device) * scale
    layers = kept.layers
    heads = np.full((layers, model.n_heads), np.nan)
    attention, mlp = np.zeros(layers), np.zeros(layers)

    def written(vector: torch.Tensor) -> np.ndarray:
        return (vector.float() @ direction).double().cpu().numpy()

    for layer in range(layers):
        attention[layer] = written(kept.output(Place("attention_output", layer))[-1])
        mlp[layer] = written(kept.output(Place("mlp_output", layer))[-1])
        if layer in places.projections:
            mixed = kept.output(Place("heads", layer))[-1]
            with model.turn(cancel), torch.no_grad():
                heads[layer] = written(_projected(places.projections[layer], mixed, model.n_heads))
    embedding = float(written(kept.state(0)[-1]))
    return Contributions(heads, attention, mlp, embedding, float(written(last)))


def ablate(
    run: Run | Subject,
    layer: int,
    heads: int | Sequence[int],
    to: Literal["mean", "zero"] = "mean",
    *,
    reference: Sequence[Run] = (),
    rows: Literal["all", "answer"] = "all",
    expected: str | None = None,
    controls: bool = True,
    generate: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Effect:
    """Replace what heads of a layer write and measure what that does to the answer.

    Args:
        run: a run that answered wrongly by itself, or a subject.
        layer: a language layer with softmax attention.
        heads: which of its heads.
        to: their mean over the rows of a reference, which leaves later layers what they are used to; or zero.
        reference: runs whose mean is taken; by default this run itself.
        rows: where: "all", or "answer" for the rows that choose the answer.
        expected: the right answer; by default what the case expects.
        controls: whether to do the same to every other set of as many neighbouring heads of the layer.
        generate: whether to generate the new answer, too.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: there is no such head, or no failure to explain.
        CaptureError: the layer has no softmax attention.
    """
    subject = subject_of(run, expected, cancel)
    chosen = (heads,) if isinstance(heads, int) else tuple(heads)
    count = subject.model.n_heads
    if not chosen or not all(0 <= head < count for head in chosen):
        raise CauseError(f"This model has heads 0 to {count - 1}: choose some of them.")
    means = None
    if to == "mean":
        others = [Subject(one, subject.contrast, cancel) for one in reference] or [subject]
        means = torch.stack([_mean_of_heads(one, layer) for one in others]).mean(0)

    def change(which: tuple[int, ...]) -> AblateHeads:
        return AblateHeads(layer, which, None if means is None else means[list(which)], rows)

    rest = [head for head in range(count) if head not in chosen]
    groups = [tuple(rest[n : n + len(chosen)]) for n in range(0, len(rest) - len(chosen) + 1, len(chosen))]
    steps = Steps(progress, 1 + (len(groups) if controls else 0) + generate)
    after = steps.take("the heads", lambda: subject.under(change(chosen)))
    others = (
        tuple(steps.take("other heads", lambda group=group: subject.under(change(group))) for group in groups)
        if controls
        else ()
    )
    answer = steps.take("the new answer", lambda: answer_under(subject, change(chosen))) if generate else None
    name = f"layer {layer}, heads {', '.join(map(str, chosen))} set to {to}"
    return Effect(name, (change(chosen),), subject.contrast, subject.reading, after, others, None, answer)


def _mean_of_heads(subject: Subject, layer: int) -> torch.Tensor:
    """What each head of a layer writes, averaged over all rows, [heads, head_dim]."""
    from qwenvl_debug.model.taps import Observer

    kept: list[torch.Tensor] = []
    place = Place("attention", layer)
    subject.pass_.run([Observer(place, lambda value, _rows: kept.append(value[1][0]))], keep=1)
    return kept[0].float().mean(0)


def _scale(norm: torch.nn.Module, vector: torch.Tensor) -> torch.Tensor:
    """By what an RMSNorm multiplies each channel of a vector, float32 [width].

    Raises:
        CauseError: the norm does something else.
    """
    ones = norm(torch.ones_like(vector)[None, None])[0, 0].float()
    scale = ones * torch.rsqrt(vector.float().pow(2).mean()) if ones.shape == vector.shape else None
    done = norm(vector[None, None])[0, 0].float()
    if scale is None or (done - vector.float() * scale).abs().max() > ROUNDING * done.abs().max():
        raise CauseError("The final norm of this model mixes channels, so no part has a contribution of its own.")
    return scale


def _projected(projection: torch.nn.Module, written: torch.Tensor, heads: int) -> torch.Tensor:
    """What each head adds to the residual stream, [heads, width], without the projection's own bias."""
    alone = torch.zeros(heads + 1, len(written), dtype=written.dtype, device=written.device)
    width = len(written) // heads
    for head in range(heads):
        alone[head, head * width : (head + 1) * width] = written[head * width : (head + 1) * width]
    found = projection(alone[None])[0].float()
    return found[:-1] - found[-1]
