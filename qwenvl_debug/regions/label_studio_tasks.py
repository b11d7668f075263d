"""Which tasks, images and annotations does a Label Studio file hold, and which results are of the image at hand?

A task may show several images: in tags of their own (a result's `to_name` names the tag, mostly called like the task's
data) or as pages of one tag (`item_index`). Of a task's annotations the latest counts, also where it is empty or was
skipped: a person then said that there is nothing. Predictions count only where no person has annotated.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.file_names import file_name, is_image_name, is_other_name
from qwenvl_debug.regions.files import Candidate, Size, size_of, swapped, unique_labels
from qwenvl_debug.regions.losses import Losses, is_set

Result = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Task:
    """One task of a file, whatever export it came in.

    Attributes:
        label: what to call it.
        data: what it shows, by name.
        annotations: made by people.
        predictions: made by models.
        drafts: how many annotations were not submitted.
        is_min: whether it came as JSON-MIN, which does not say on which image a result was drawn.
    """

    label: str
    data: dict[str, Any]
    annotations: list[dict] = field(default_factory=list)
    predictions: list[dict] = field(default_factory=list)
    drafts: int = 0
    is_min: bool = False

    @property
    def results(self) -> Iterator[Result]:
        """Of all annotations and predictions."""
        return (result for made in (*self.annotations, *self.predictions) for result in _dicts(made.get("result")))


@dataclass(frozen=True, eq=False)
class Slot:
    """An image of a task.

    Attributes:
        sheet: all images of that task.
        key: the name of the task's data that holds it; of a tag that is not called like any data, the tag's name.
        page: its place in a list of images, or None where it is alone.
        address: where the image is, as the task says; no text where that is not known.
        is_tag: whether only the tag is known, and not which image it shows.
    """

    sheet: Sheet
    key: str
    page: int | None = None
    address: str = ""
    is_tag: bool = False


class Sheet:
    """The images of a task, and on which of them each result was drawn.

    Attributes:
        task: the task.
        slots: its images, and after them the tags of its results that cannot be led back to one; at least one.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        drawn = {self.key_of(result) for result in task.results if is_drawn(result.get("value"))}
        images = self._images(lambda key, text: is_image_name(text) or (key in drawn and not is_other_name(text)))
        images = images or self._images(lambda key, text: "/" in text and not is_other_name(text))
        self.slots = images or [Slot(self, "")]
        self._keys = {slot.key for slot in self.slots}
        if len(self._keys) > 1:
            unknown = [one for one in task.results if self.key_of(one) is None and one.get("to_name")]
            tags = dict.fromkeys(str(one["to_name"]) for one in unknown)
            self.slots = [*self.slots, *(Slot(self, tag, is_tag=True) for tag in tags)]

    def key_of(self, result: Result) -> str | None:
        """The name of the task's data that a result is about; None where it does not say."""
        source, tag = str(result.get("source") or "").lstrip("$"), str(result.get("to_name") or "")
        return next((name for name in (source, tag) if name in self.task.data), None)

    def is_about_other(self, result: Result) -> bool:
        """Whether a result is about something that is no image, such as a text."""
        key = self.key_of(result)
        return result.get("type") == "relation" or (key is not None and self._keys != {""} and key not in self._keys)

    def slot_of(self, result: Result) -> Slot | None:
        """The image that a result was drawn on; None where it does not say, or is about something else."""
        if self.is_about_other(result):
            return None
        key = self.key_of(result)
        if key is None and len(self._keys) > 1:
            tag = str(result.get("to_name"))
            return next((slot for slot in self.slots if slot.is_tag and slot.key == tag), None)
        pages = [slot for slot in self.slots if not slot.is_tag and (key in (None, slot.key) or slot.key == "")]
        if len(pages) == 1:
            return pages[0]
        page = _page(result)
        return next((slot for slot in pages if slot.page == page), None)

    def _images(self, is_shown: Callable[[str, str], bool]) -> list[Slot]:
        """What of the task's data is an image, by itself or in a list."""
        found = []
        for key, value in self.task.data.items():
            if isinstance(value, str) and is_shown(key, value):
                found.append(Slot(self, key, None, value))
            for page, one in enumerate(value if isinstance(value, list) else ()):
                texts = one.values() if isinstance(one, dict) else [one]
                shown = [text for text in texts if isinstance(text, str) and is_shown(key, text)]
                found += [Slot(self, key, page, shown[0])] if shown else []
        return found


def tasks_of(data: Any) -> list[Task]:
    """The tasks of a file: exported as JSON or JSON-MIN, or written by a target storage; none in any other file."""
    tasks, rows = [], {}
    for number, one in enumerate(_dicts(data if isinstance(data, list) else [data]), 1):
        if isinstance(one.get("task"), dict) and isinstance(one.get("result"), list):
            one = one["task"] | {"annotations": [one]}
        label = f"task {one.get('id') or number}"
        people, models = _made(one.get("annotations") or one.get("completions")), _made(one.get("predictions"))
        if people or models or isinstance(one.get("data"), dict):
            shown = one.get("data") if isinstance(one.get("data"), dict) else {}
            if isinstance(one.get("file_upload"), str) and not shown:
                shown = {"image": one["file_upload"]}
            tasks.append(Task(label, shown, people, models, len(_dicts(one.get("drafts")))))
        elif (row := _row(one)) is not None:
            shown = {key: value for key, value in one.items() if isinstance(value, str)}
            if (task := rows.get(label)) is None:
                rows[label] = task = Task(label, shown, is_min=True)
                tasks.append(task)
            task.annotations.append(row)
    return tasks


def candidates_of(slots: Sequence[Slot], size: Size) -> list[Candidate]:
    """The images to choose from, each with the size that its results give.

    Args:
        slots: of all tasks.
        size: the picture's, which is preferred where results give several.
    """
    sizes: dict[Slot, list[Size]] = {}
    for sheet in {slot.sheet: None for slot in slots}:
        for result in sheet.task.results:
            slot, found = sheet.slot_of(result), result_size(result)
            if slot is not None and found is not None:
                sizes.setdefault(slot, []).append(found)
    shown = [file_name(slot.address) or slot.address[:40] or slot.key or slot.sheet.task.label for slot in slots]
    labels = unique_labels(shown, [", ".join(filter(None, (slot.sheet.task.label, slot.key))) for slot in slots])
    return [
        Candidate(
            label,
            (slot.address,) if file_name(slot.address) else (),
            next(
                (one for one in (size, swapped(size)) if one in sizes.get(slot, ())),
                next(iter(sizes.get(slot, ())), None),
            ),
            number,
        )
        for number, (label, slot) in enumerate(zip(labels, slots, strict=True))
    ]


def results_on(slot: Slot, losses: Losses) -> list[Result]:
    """The results of the annotation that counts, those of one image.

    Args:
        slot: the image.
        losses: told about what is left aside.

    Raises:
        RegionError: the annotation that counts is empty or was skipped, or there is none.
    """
    sheet, mine, elsewhere = slot.sheet, [], 0
    for result in _counting(sheet.task, losses):
        place = sheet.slot_of(result)
        if place is slot:
            mine.append(result)
        elif place is not None:
            elsewhere += 1
        elif sheet.is_about_other(result):
            losses.drop("the annotation", str(result.get("type")))
        else:
            what = "export as JSON, not JSON-MIN" if sheet.task.is_min else "draw it again in Label Studio"
            reason = f"It does not say on which of the task's images it was drawn: {what}."
            losses.refuse("Result", result.get("id"), reason)
    if elsewhere:
        losses.note(f"Not imported: {elsewhere} result{'s' if elsewhere > 1 else ''} on other images of the task.")
    return mine


def result_size(result: Result) -> Size | None:
    """Width, height in pixels of the image that a result was drawn on, where it says."""
    return size_of(result, "original_width", "original_height")


def is_drawn(value: Any) -> bool:
    """Whether a result's value has a place in an image."""
    return isinstance(value, dict) and bool({"x", "points", "vertices", "rle", "imageDataURL"} & set(value))


def _counting(task: Task, losses: Losses) -> list[Result]:
    """The results of the latest annotation, or else of the latest prediction."""
    if task.drafts:
        many = "1 draft that was" if task.drafts == 1 else f"{task.drafts} drafts that were"
        losses.note(f"Not imported: {many} not submitted.")
    made = task.annotations or task.predictions
    if not made:
        draft = ", only drafts: submit one in Label Studio and export again" if task.drafts else ""
        raise RegionError(f"No one has annotated this task{draft}.")
    latest = max(enumerate(made), key=lambda one: (*_time(one[1]), one[0]))[1]
    valid = [one for one in made if not _was_skipped(one)]
    results, who = _dicts(latest.get("result")), _who(latest)
    if not task.annotations:
        losses.note(f"No one has annotated this task: the regions are predictions{f' of {who}' if who else ''}.")
        if len(made) > 1:
            losses.note(f"Only the latest of the task's {len(made)} predictions was taken.")
    elif _was_skipped(latest) or not results:
        earlier = sum(one is not latest for one in valid)
        rest = f" ({earlier} other annotation{'s were' if earlier > 1 else ' was'} not used)" if earlier else ""
        what = "was skipped" if _was_skipped(latest) else "is empty"
        by = f", by {who}," if who else ""
        raise RegionError(f"The latest annotation of this task{by} {what}, so there are no regions{rest}.")
    elif len(valid) > 1:
        by = f", by {who}" if who else ""
        losses.note(f"Only the latest of the task's {len(valid)} annotations was taken{by}.")
    return results


def _was_skipped(made: dict) -> bool:
    return is_set(made.get("was_cancelled")) or is_set(made.get("skipped"))


def _time(made: dict) -> tuple[float, float]:
    """When something was made, as far as it says: its last change, and its number."""
    when, number = made.get("updated_at") or made.get("created_at"), made.get("id")
    seconds = float(when) if isinstance(when, (int, float)) else float("-inf")
    if isinstance(when, str):
        with contextlib.suppress(ValueError, OverflowError):
            read = datetime.fromisoformat(when.strip())
            seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    return seconds, float(number) if isinstance(number, int) or str(number).isdecimal() else -1.0


def _who(made: dict) -> str:
    """Who made it: a model's version, or a person's address or number."""
    who = made.get("completed_by", made.get("annotator")) or made.get("model_version")
    if isinstance(who, dict):
        who = who.get("email") or who.get("username") or who.get("id")
    return f"annotator {who}" if isinstance(who, int) else str(who or "")


def _page(result: Result) -> int | None:
    """Which of several pages a result is on: as it says, or as the tag of a repeated page is numbered."""
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    for index in (result.get("item_index"), value.get("item_index")):
        if isinstance(index, int) and not isinstance(index, bool):
            return index
    numbered = re.search(r"_(\d+)$", str(result.get("to_name") or ""))
    return int(numbered.group(1)) if numbered else None


def _row(one: dict) -> dict | None:
    """A row of JSON-MIN as an annotation: every list of shapes in it; None where it is no such row."""
    results, is_row = [], "annotation_id" in one
    for name, values in one.items():
        for value in _dicts(values):
            kind = next((key for key in value if key.endswith("labels")), None)
            if kind is not None:
                is_row = True
                sizes = {key: value[key] for key in ("original_width", "original_height") if key in value}
                results.append({"id": f"{name} {len(results) + 1}", "type": kind, "value": value, **sizes})
    when = {key: one[key] for key in ("updated_at", "created_at", "annotator") if key in one}
    return {"id": one.get("annotation_id"), "result": results, **when} if is_row else None


def _made(value: Any) -> list[dict]:
    """Annotations that are there with their results; some exports hold only their numbers."""
    return [one for one in _dicts(value) if isinstance(one.get("result"), list) or _was_skipped(one)]


def _dicts(value: Any) -> list[dict]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
