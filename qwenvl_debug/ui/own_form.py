"""Two pictures of one's own: upload them, ask a question about each, say what answer would be right."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from qwenvl_debug.case import MAX_CHARACTERS, Case, Picture
from qwenvl_debug.errors import CaseError, PictureError
from qwenvl_debug.ui import archive, talk_form
from qwenvl_debug.ui.pairs import OWN, Choice, found, own_choice, vault
from qwenvl_debug.ui.sentence import plain, show_error
from qwenvl_debug.video import SUFFIXES, Video

SECONDS = {"correct": "seconds", "failing": "seconds2"}
"""By side, what the address calls the times of a video's frames."""

FRAMES = 8
"""How many frames of a video the form takes; Python and the command line take another number."""

TYPES = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif"]


def ask() -> Choice | None:
    """Draw the form; the pair that was last asked about, or None while there is none.

    Raises:
        CaseError: the question is empty or too long.
    """
    kept = st.session_state.setdefault("kept", {})
    asked = st.session_state.get("asked")
    gone = asked is not None and None in [found(asked.get(side)) for side in ("correct", "failing")]
    with st.expander("Pictures and questions", expanded=asked is None or gone):
        _form(kept)
    if asked is None:
        return None
    choice = own_choice(asked)
    if choice is None:
        st.warning("The pictures of this link are not kept here: upload them again.")
    elif asked != _inputs(kept):
        st.caption("Shown below: what was asked last. Press “Ask both” to use what you changed.")
    return choice


def take(correct: Case, failing: Case) -> None:
    """Make two cases the pair of one's own, as if someone had filled in the form. Call it in a callback."""
    sides = (("correct", correct), ("failing", failing))
    kept = {side: ",".join(vault().keep(picture) for picture in case.pictures) for side, case in sides}
    kept |= {SECONDS[side]: _text_of(case.seconds) for side, case in sides if case.seconds}
    texts = {"ask": correct.question, "expect": correct.expected or ""}
    texts["ask2"] = "" if failing.question == correct.question else failing.question
    texts["expect2"] = "" if failing.expected == correct.expected else failing.expected or ""
    for name, text in texts.items():
        st.session_state[f"own_{name}"] = text
    talk_form.restore(kept | talk_form.asked_of(correct.system, correct.history))
    st.session_state.kept = kept
    st.session_state.asked = _inputs(kept)
    st.session_state.pair = OWN
    st.session_state.pop("link", None)


def _form(kept: dict[str, str]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Correct** · a picture that is answered rightly")
        _upload("correct", kept)
        _text("own_ask", "Question", "Which tower is this?")
        _text("own_expect", "Expected answer (optional)", "Oriental Pearl Tower")
    with right:
        st.markdown("**Failing** · a similar picture that is not")
        _upload("failing", kept)
        _text("own_ask2", "Question, if another", "the same question")
        _text("own_expect2", "Expected answer, if another", "the same answer")
    several = st.toggle(
        "Several pictures, a video, or a conversation before the question",
        key=talk_form.TALK,
        persist_state="session",
        help="Each side may have several pictures, in the order in which they are shown. A system prompt and earlier "
        "turns are the same on both sides.",
    )
    if several:
        talk_form.fields()

    missing = [f"the {side} picture" for side in ("correct", "failing") if side not in kept]
    if not st.session_state.get("own_ask", "").strip():
        missing.append("a question")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Ask both", type="primary", key="own_go", disabled=bool(missing)):
            st.session_state.asked = _inputs(kept)
            _keep(st.session_state.asked)
            st.rerun()
        if missing:
            st.caption(f"Still needed: {', '.join(missing)}.", width="content")


def _keep(asked: dict[str, str]) -> None:
    """Keep what is asked, so that its link finds it even when the server was started again."""
    with suppress(CaseError):  # said where the choice is made
        choice = own_choice(asked)
        for case in (choice.correct, choice.failing) if choice else ():
            archive.keep_case(case)


def _inputs(kept: dict[str, str]) -> dict[str, str]:
    texts = {name: st.session_state.get(f"own_{name}", "").strip() for name in ("ask", "ask2", "expect", "expect2")}
    if not st.session_state.get(talk_form.TALK):
        kept = {side: names.split(",")[0] for side, names in kept.items() if side in SECONDS}
    return {name: value for name, value in {**kept, **texts, **talk_form.inputs()}.items() if value}


def _text(key: str, label: str, placeholder: str) -> None:
    st.text_input(label, key=key, placeholder=placeholder, max_chars=MAX_CHARACTERS, persist_state="session")


def _upload(side: str, kept: dict[str, str]) -> None:
    """An uploader whose pictures stay when the uploader itself is emptied by a page switch or a reload."""
    several = bool(st.session_state.get(talk_form.TALK))
    sent: Any = st.file_uploader(
        "Pictures, in their order" if several else "Picture",
        type=TYPES + [suffix[1:] for suffix in sorted(SUFFIXES)] if several else TYPES,
        accept_multiple_files=several,
        key=f"own_file_{side}{'_several' if several else ''}",
        help="PNG, JPEG, WebP and others, up to 50 MB."
        + (f" Or one short video, of which {FRAMES} frames are asked about." if several else ""),
    )
    files = sent if several else [sent] if sent is not None else []
    seen = [file.file_id for file in files]
    if files and st.session_state.get(f"own_seen_{side}") != seen:
        st.session_state[f"own_seen_{side}"] = seen
        try:
            shown, seconds = _read(files)
            kept[side] = ",".join(vault().keep(picture) for picture in shown)
            kept[SECONDS[side]] = _text_of(seconds)
        except (PictureError, CaseError) as error:
            st.session_state[f"own_problem_{side}"] = str(error)
        else:
            st.session_state.pop(f"own_problem_{side}", None)
    if problem := st.session_state.get(f"own_problem_{side}"):
        show_error(problem)
    pictures = found(kept.get(side))
    if pictures and not files:
        named = [f"{plain(one.name)}, {one.width} × {one.height} pixels" for one in pictures[: None if several else 1]]
        st.caption(f"Using {'; '.join(named)}, uploaded before.")


def _read(files: list[Any]) -> tuple[tuple[Picture, ...], tuple[float, ...]]:
    """Uploaded files as pictures; one video as its frames, with their times.

    Raises:
        PictureError: a file cannot be read.
        CaseError: a video is among other files.
    """
    films = [file for file in files if Path(file.name).suffix.lower() in SUFFIXES]
    if not films:
        return tuple(Picture.open(file.getvalue(), file.name) for file in files), ()
    if len(files) > 1:
        raise CaseError("A side has pictures or one video, not both: remove what is too much.")
    with tempfile.TemporaryDirectory(prefix="qwenvl-debug-video-") as folder:  # OpenCV reads no bytes, only files
        path = Path(folder) / f"video{Path(films[0].name).suffix.lower()}"
        path.write_bytes(films[0].getvalue())
        video = Video.open(path, FRAMES, name=Path(films[0].name).name)
    return video.frames, video.seconds


def _text_of(seconds: tuple[float, ...]) -> str:
    return ",".join(f"{second:g}" for second in seconds)
