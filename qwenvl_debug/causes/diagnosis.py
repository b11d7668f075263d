"""Why did the answer fail? A verdict from interventions, and the effects it rests on.

The questions are asked in an order in which each answer narrows what is left:

1. *Is there anything to explain?* Both answers differ, and by more than benign perturbations of the correct image do.
2. *Is it in the image?* Where the correct image has structure in the region and the failing one has none of it, and the
   correct image's pixels bring the answer back, the region is **not in the image**.
3. *Was it perceived?* Where the correct run's image features of the region alone bring the answer back, and features of
   other places do not, the encoder did not deliver the region: **not perceived**.
4. *Was it attended to?* Where the correct run reads the region (its answer suffers when attention to it is blocked),
   and more attention to it alone flips the failing answer while more attention to other places does not, the region
   could be read and was not: **not attended**. Where blocking another place flips it, to which attention had risen, the
   model was **distracted**. If both do, the attention that changed more is named.
5. *Is it elsewhere?* Where the image features outside the region bring the answer back, something else decides:
   **elsewhere**.
6. *Was it overruled?* Where no image feature carries the difference, attention has not gone elsewhere, and the residual
   stream of the last prompt token carries it, late, the right answer was lost on the language side: **overruled**.

Whatever is left is **undecided**. A verdict says what an intervention did on this pair, no more; it names the first
question that is answered, and a failure can have a second cause. Thresholds were chosen on planted failures and judged
on others, see docs/diagnosis.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from qwenvl_debug.causes.cells import Cells, elsewhere
from qwenvl_debug.causes.contrast import Contrast
from qwenvl_debug.causes.effect import Effect
from qwenvl_debug.causes.interventions import Boost
from qwenvl_debug.causes.occlusion import changed_image, occlude
from qwenvl_debug.causes.pair import Pair
from qwenvl_debug.causes.placing import Placed, placed
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.causes.rising import rise, risen
from qwenvl_debug.compare import HARMLESS, warped
from qwenvl_debug.compare.sided import checked
from qwenvl_debug.errors import CauseError, NothingToExplain
from qwenvl_debug.regions import region_mask

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region

Verdict = Literal[
    "not perceived",
    "not attended",
    "distracted",
    "overruled",
    "elsewhere",
    "not in the image",
    "nothing to explain",
    "undecided",
]

CARRIES = 0.5
"""Share of the gap from which on a patch is said to carry the failure."""
APART = 0.2
"""By how much a patch of the region must exceed the best of its controls."""
NOTHING = 0.25
"""Share of the gap up to which all image features together are said to carry nothing."""
GONE = 0.25
"""Correlation of gradients up to which the region's structure is said to be gone from the failing image."""
READ = 0.15
"""Share of the gap that the correct run must lose with the region blocked for it to be said to read it."""
DOSES = (4.0, 16.0, 64.0)
"""Factors of the attention odds that are tried, mildest first."""
RISEN = 4.0
"""By how much the attention odds of another place must have risen for it to count as a distraction."""
NO_PLACE = "there is no other place of the same shape to compare with"
PLACES = 10
"""Most other places of the same shape at which an intervention is repeated."""


@dataclass(frozen=True)
class Evidence:
    """One intervention of a diagnosis, and what it says.

    Attributes:
        question: which question it answers, in a few words.
        effect: what it did.
        sentence: what follows, no stronger than the numbers.
    """

    question: str
    effect: Effect
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"question": self.question, "sentence": self.sentence, **self.effect.to_dict()}


@dataclass(frozen=True)
class Diagnosis:
    """A verdict with the effects it rests on.

    Attributes:
        verdict: one of `Verdict`.
        sentence: the verdict, argued from its numbers in one or two sentences.
        evidence: what was tried, in order; the last decided.
        not_tried: what was not tried, and why.
        carried: how regions were carried from one image to the other.
        contrast: the two answers; None where there is nothing to explain.
        gap: LD of the correct run less that of the failing one, in logits; NaN where there is nothing to explain.
        region: the region's name.
    """

    verdict: Verdict
    sentence: str
    evidence: tuple[Evidence, ...]
    not_tried: tuple[str, ...]
    contrast: Contrast | None
    gap: float
    region: str
    carried: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "region": self.region,
            "expected": None if self.contrast is None else self.contrast.expected,
            "given": None if self.contrast is None else self.contrast.given,
            "gap": None if np.isnan(self.gap) else self.gap,
            "evidence": [one.to_dict() for one in self.evidence],
            "not_tried": list(self.not_tried),
            "carried": list(self.carried),
        }


def diagnose(
    correct: Run,
    failing: Run,
    regions: Region | Sequence[Region] = (),
    *,
    left_regions: Region | Sequence[Region] = (),
    right_regions: Region | Sequence[Region] = (),
    expected: str | None = None,
    alignment: Alignment | None = None,
    image: int = 0,
    progress: Progress | None = None,
    found: Callable[[Evidence], Any] | None = None,
    cancel: Event | None = None,
) -> Diagnosis:
    """Find out why the failing run answered wrongly.

    Args:
        correct, failing: runs of one model on nearly the same case.
        regions: what decides the answer, on the correct image, in its pixels; carried to the failing one.
        left_regions, right_regions: what decides it on the correct and on the failing image, where each has its own.
        expected: the right answer; by default the correct run's own.
        alignment: how the failing image lies in the correct one; found by itself where it is not given.
        image: which image of both cases.
        progress: called as progress(done, of, text).
        found: called with each piece of evidence as soon as it is there.
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the runs are of different models, or no answer is expected.
        Cancelled: `cancel` was set.
    """
    given = [*checked(regions), *checked(left_regions), *checked(right_regions)]
    name = ", ".join(dict.fromkeys(one.name for one in given))
    try:
        pair = Pair(correct, failing, expected=expected, alignment=alignment, image=image, cancel=cancel)
    except NothingToExplain as error:
        return Diagnosis("nothing to explain", str(error), (), (), None, float("nan"), name)
    return _Examination(pair, placed(pair, regions, left_regions, right_regions), progress, found).verdict()


class _Examination:
    """Asks one question after the other, and keeps what was found."""

    def __init__(
        self, pair: Pair, there: Placed, progress: Progress | None, found: Callable[[Evidence], Any] | None
    ) -> None:
        self.pair, self.name, self.regions, self.found = pair, there.name, there.regions, found
        self.subject, self.image = pair.failing, pair.image
        self.cells, self.correct_cells = there.failing, there.correct
        self.places = elsewhere(self.cells, PLACES)
        self.steps = Steps(progress, 8)
        self.distraction: Cells | None = None
        self.evidence: list[Evidence] = []
        self.not_tried: list[str] = []
        self.carried = there.said

    def verdict(self) -> Diagnosis:
        for text, question in (
            ("benign perturbations", self._nothing),
            ("the image", self._not_in_the_image),
            ("image features", self._not_perceived),
            ("attention to the region", self._attention),
            ("image features elsewhere", self._elsewhere),
            ("the language side", self._overruled),
        ):
            answer = self.steps.take(text, question)
            if answer is not None:
                return self._made(*answer)
        return self._made(
            "undecided",
            f"No intervention on “{self.name}” or beside it brings “{self.pair.contrast.expected}” back by itself.",
        )

    def _made(self, verdict: Verdict, sentence: str) -> Diagnosis:
        contrast = None if verdict == "nothing to explain" else self.pair.contrast
        return Diagnosis(
            verdict,
            sentence,
            tuple(self.evidence),
            tuple(self.not_tried),
            contrast,
            self.pair.gap,
            self.name,
            self.carried,
        )

    def _add(self, question: str, effect: Effect, sentence: str) -> Effect:
        self.evidence.append(Evidence(question, effect, sentence))
        if self.found is not None:
            self.found(self.evidence[-1])
        return effect

    def _nothing(self) -> tuple[Verdict, str] | None:
        """Both runs must prefer different answers by more than benign perturbations move one of them."""
        correct, pair = self.pair.correct, self.pair
        pixels = correct.run.case.pictures[self.image].pixels
        moved = [
            abs(changed_image(correct, change(pixels), self.image).reading.difference - correct.reading.difference)
            for change in HARMLESS.values()
        ]
        self.noise = max(moved)
        if correct.reading.difference <= 0:
            return "nothing to explain", (
                f"The correct run prefers “{pair.contrast.given}” as well: there is no right answer to restore."
            )
        if pair.gap <= 2 * self.noise:
            return "nothing to explain", (
                f"The two runs differ by {pair.gap:.1f} logits, and benign perturbations of the correct image alone "
                f"move it by up to {self.noise:.1f}: the failure is no more than noise."
            )
        return None

    def _not_in_the_image(self) -> tuple[Verdict, str] | None:
        pair = self.pair
        if pair.alignment.homography is None:
            self.not_tried.append("Image features and pixels were not exchanged, because the images are not aligned.")
            return None
        pictures = [subject.run.case.pictures[self.image] for subject in (pair.correct, pair.failing)]
        kept = structure_kept(*pictures, pair.alignment, self.regions)
        options = {"other": pictures[0], "alignment": pair.alignment, "image": self.image, "gap": pair.gap}
        effect = occlude(self.subject, self.regions, ("other",), **options).effects["other"]
        share = _percent(effect.recovered)
        back = f"Putting the correct image's pixels of “{self.name}” in brings {share} of the gap back"
        if effect.recovered >= CARRIES and kept <= GONE:
            self._add("Is it in the image?", effect, f"{back}; its structure is gone from the failing image.")
            return "not in the image", (
                f"“{self.name}” is not to be seen in the failing image: its structure is gone (gradient correlation "
                f"{kept:.2f}), and the correct image's pixels alone bring {share} of the gap back."
            )
        self._add("Is it in the image?", effect, f"{back}; its structure is there in both (correlation {kept:.2f}).")
        return None

    def _not_perceived(self) -> tuple[Verdict, str] | None:
        if self.pair.alignment.homography is None:
            return None
        try:
            effect = self._patched(self.cells, self.places)
        except CauseError as error:
            self.not_tried.append(str(error))
            return None
        best = max((one.difference - effect.before.difference for one in effect.controls), default=0.0) / self.pair.gap
        others = f"the same at {_count(effect.controls, 'other place')} brings at most {_percent(best)} back"
        sentence = (
            f"The correct run's image features of “{self.name}” ({_count(self.cells.index, 'cell')}) bring "
            f"{_percent(effect.recovered)} of the gap back; {others if effect.controls else NO_PLACE}."
        )
        self._add("Was it perceived?", effect, sentence)
        if effect.recovered >= CARRIES and effect.recovered >= best + APART:
            return "not perceived", f"The encoder did not deliver “{self.name}”. {sentence}"
        return None

    def _attention(self) -> tuple[Verdict, str] | None:
        if not self.pair.failing.run.trace.layers:
            self.not_tried.append("Attention was not changed, because no layer of this model has a softmax.")
            return None
        more, less = self._more_to_the_region(), self._less_elsewhere()
        if more is None or less is None:
            return more or less
        here, there = (abs(np.log(rise(self.pair, cells))) for cells in (self.cells, self.distraction))
        return less if there > here else more

    def _more_to_the_region(self) -> tuple[Verdict, str] | None:
        if not self._read_by_the_correct_run():
            return None
        for by in DOSES:
            effect = self._boosted(self.cells, self.places, by)
            if effect.specific:
                break
        sentence = (
            f"Multiplying the attention odds of “{self.name}” by {by:g} {_flips(effect)}; "
            f"{_elsewhere_too(effect) if effect.controls else NO_PLACE}."
        )
        self._add("Was it attended to?", effect, sentence)
        if not effect.specific:
            return None
        return "not attended", f"“{self.name}” could be read and was not. {sentence}"

    def _read_by_the_correct_run(self) -> bool:
        """Whether the correct run's answer suffers when nothing after the image attends to the region."""
        pair = self.pair
        if self.correct_cells is None:
            return True
        change = Boost(self.correct_cells, 0.0)
        after, before = pair.correct.under(change), pair.correct.reading
        lost = (before.difference - after.difference) / pair.gap
        effect = Effect("attention blocked in the correct run", (change,), pair.contrast, before, after, gap=pair.gap)
        reads = "so it reads it" if lost >= READ else "so it does not answer by it"
        self._add(
            "Does the correct run read it?",
            effect,
            f"With attention to “{self.name}” blocked the correct run loses {_percent(lost)} of the gap, {reads}.",
        )
        return lost >= READ

    def _less_elsewhere(self) -> tuple[Verdict, str] | None:
        self.distraction = risen(self.pair, self.cells) if self.pair.alignment.homography is not None else None
        if self.distraction is None:
            return None
        more = rise(self.pair, self.distraction)
        effect = self._boosted(self.distraction, elsewhere(self.distraction, PLACES), 0.0)
        sentence = (
            f"Blocking the {len(self.distraction)} cells elsewhere whose attention rose most (odds x {more:.1f}) "
            f"{_flips(effect)}; {_elsewhere_too(effect) if effect.controls else NO_PLACE}."
        )
        self._add("Was something else attended to?", effect, sentence)
        if effect.specific and more >= RISEN:
            return "distracted", f"Attention went to another place. {sentence}"
        return None

    def _elsewhere(self) -> tuple[Verdict, str] | None:
        if self.pair.alignment.homography is None:
            return None
        try:
            effect = self._patched(self.cells.rest(), [])
        except CauseError:
            return None
        sentence = (
            f"The correct run's image features of all other cells bring {_percent(effect.recovered)} of the gap back."
        )
        self._add("Is it elsewhere?", effect, sentence)
        if effect.recovered >= CARRIES:
            return "elsewhere", f"“{self.name}” is not what decides here. {sentence}"
        return None

    def _overruled(self) -> tuple[Verdict, str] | None:
        pair, layers = self.pair, self.subject.pass_.layers
        group = next(one for one in pair.groups() if one.name == "last prompt token")
        shares, effects = [], []
        for layer in range(layers + 1):
            change = pair.states("residual", layer, group)
            after = self.subject.under(change)
            effects.append(
                Effect(
                    f"last prompt token patched before layer {layer}",
                    (change,),
                    pair.contrast,
                    self.subject.reading,
                    after,
                    gap=pair.gap,
                )
            )
            shares.append(effects[-1].recovered)
        first = next((layer for layer, share in enumerate(shares) if share >= CARRIES), layers)
        image = float("nan")
        if pair.alignment.homography is not None:
            whole = Cells.of(self.image, np.ones(pair.shape, bool))
            image = self._patched(whole, []).recovered
        late = f"residual stream at the last prompt token brings it back from layer {first} of {layers} on"
        sentence = f"The correct run's {late}."
        if not np.isnan(image):
            sentence = f"All its image features together bring {_percent(image)} of the gap back, and its {late}."
        self._add("Was it overruled?", effects[first], sentence)
        calm = self.distraction is None or rise(pair, self.distraction) < RISEN
        if image <= NOTHING and first > layers // 2 and calm:
            return "overruled", f"The right answer was lost on the language side. {sentence}"
        return None

    def _patched(self, cells: Cells, places: Sequence[Cells]) -> Effect:
        pair = self.pair
        change = pair.features(cells)
        kept = [place for place in places if len(pair.patchable(place)) == len(place)]
        return Effect(
            f"image features of {len(change.cells)} cells patched",
            (change,),
            pair.contrast,
            self.subject.reading,
            self.subject.under(change),
            tuple(self.subject.under(pair.features(place)) for place in kept),
            pair.gap,
        )

    def _boosted(self, cells: Cells, places: Sequence[Cells], by: float) -> Effect:
        return Effect(
            f"attention odds x {by:g}" if by else "attention blocked",
            (Boost(cells, by),),
            self.pair.contrast,
            self.subject.reading,
            self.subject.under(Boost(cells, by)),
            tuple(self.subject.under(Boost(place, by)) for place in places),
            self.pair.gap,
        )


def structure_kept(correct: Picture, failing: Picture, alignment: Alignment, regions: Sequence[Region]) -> float:
    """How much of the correct image's structure in a region is left in the failing one.

    Returns:
        Size of the correlation of the aligned images' gradients in the region, 0..1: 1 where its structure is all
        there, also in inverted colours, and about 0 where it is covered or where the correct image shows none.
    """
    mask = np.any([region_mask(one, failing.size) for one in regions], axis=0)
    inverse = replace(alignment, homography=np.linalg.inv(alignment.homography))
    laid, seen = warped(correct.pixels, inverse, failing.size)
    inside = cv2.dilate((mask & seen).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    gradients = []
    for pixels in (laid, failing.pixels):
        grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)
        gradients.append(np.stack([cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)], -1)[inside])
    scale = float(np.linalg.norm(gradients[0]) * np.linalg.norm(gradients[1]))
    return float(abs((gradients[0] * gradients[1]).sum()) / scale) if scale > 0 else 0.0


def _flips(effect: Effect) -> str:
    verb = "flips" if effect.flips else "does not flip"
    return f"{verb} the answer (LD {effect.before.difference:+.1f} to {effect.after.difference:+.1f})"


def _elsewhere_too(effect: Effect) -> str:
    flipped = round(effect.control_flips * len(effect.controls))
    return f"the same at {_count(effect.controls, 'other place')} flips it at {flipped or 'none'}"


def _count(things: Sequence, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
