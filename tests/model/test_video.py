"""Do the frames of a video become what transformers' own video path is fed, and does each frame get its map?"""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.errors import CaseError, PictureError
from qwenvl_debug.maps import map_stack, picture_shares, row_shares
from qwenvl_debug.maps.rows import averaged_rows
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.run_checks import all_passed, run_checks
from qwenvl_debug.model.selfcheck import check
from qwenvl_debug.video import Video
from tests.model.test_capture_language import eager_rows, generated, untouched
from tests.model.tiny import EVERY_FAMILY, FAMILIES


def frames(count, width=150, height=90):
    return list(np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def clip(count=6, **case):
    return Case(frames(count), "What happens? 发生了什么？", seconds=[0.5 * n for n in range(count)], **case)


def expanded(model, case):
    """The chat with its video marker replaced as transformers' processor of the generation replaces it."""
    content = [{"type": "video"}, {"type": "text", "text": case.question}]
    chat = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    _, rows, cols = prompt(model, case).image_grid_thw[0].tolist()
    grid = torch.tensor([[(len(case.pictures) + 1) // 2, rows, cols]])
    if model.generation.video == "joined":
        replacement = "<|video_pad|>" * int(grid.prod() // 4)
    else:
        theirs = object.__new__(Qwen3VLProcessor)  # it cannot be made without torchvision
        theirs.video_processor = SimpleNamespace(merge_size=2, temporal_patch_size=2)
        theirs.video_token, theirs.vision_start_token = "<|video_pad|>", "<|vision_start|>"
        theirs.vision_end_token = "<|vision_end|>"
        metadata = SimpleNamespace(fps=10.0, frames_indices=[round(10 * second) for second in case.seconds])
        replacement = theirs.replace_video_token({"video_grid_thw": grid, "video_metadata": [metadata]}, 0)
    return model.tokenizer.encode(chat.replace("<|video_pad|>", replacement), add_special_tokens=False)


@pytest.mark.parametrize("count", [6, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_is_that_of_transformers_own_processor(family, count, tiny):
    model, case = tiny(family), clip(count)
    asked = prompt(model, case)
    assert asked.ids == expanded(model, case)
    assert len(asked.grids) == count
    for frame, grid in enumerate(asked.grids):
        assert grid.picture == frame
        assert (grid.cols > grid.rows, len(grid.positions)) == (True, grid.rows * grid.cols)
        assert {asked.pictures[n] for n in grid.positions} == {frame // 2 * 2}
    feed = asked.feed(model.device)
    assert feed["video_grid_thw"][0, 0] == (count + 1) // 2
    assert feed["mm_token_type_ids"].tolist() == (2 * (feed["input_ids"] == model.config.video_token_id)).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_patches_are_laid_out_as_by_transformers_video_processors(family, tiny):
    """Frames of a size that needs no resizing, cut as `Qwen2VLVideoProcessor.patchify` cuts them."""
    model = tiny(family)
    patch, count = model.image_processor.patch_size, 5
    case = Case(frames(count, 16 * patch, 12 * patch), "What?", seconds=range(count))
    values = torch.tensor(np.stack([picture.pixels for picture in case.pictures]), dtype=torch.float32)
    video = ((values / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    video = torch.cat([video, video[-1:]])
    blocks = video.view(3, 2, 3, 6, 2, patch, 8, 2, patch).permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    asked = prompt(model, case)
    assert asked.image_grid_thw.tolist() == [[1, 12, 16]] * 3
    assert torch.allclose(asked.pixel_values, blocks.reshape(3 * 12 * 16, -1), atol=1e-5)


@pytest.mark.parametrize(("family", "step"), [("qwen2_vl", 1), ("qwen2_5_vl", 4)])
def test_pairs_of_frames_are_as_far_apart_as_their_times(family, step, tiny):
    """Qwen2.5-VL counts `tokens_per_second` (4) positions a second, and a pair of half seconds is one apart."""
    model = tiny(family)
    asked = prompt(model, clip())
    feed = {k: v for k, v in asked.feed(model.device).items() if k != "pixel_values_videos"}
    positions, _ = model.network.model.get_rope_index(**feed)
    times = [positions[0, 0, grid.positions.copy()].unique().tolist() for grid in asked.grids]
    assert [time[0] - times[0][0] for time in times] == [0, 0, step, step, 2 * step, 2 * step]
    assert all(len(time) == 1 for time in times)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_rows_equal_eager_attention_and_the_answer_is_the_plain_one(family, checkpoint, tiny):
    model, case = tiny(family), clip(history=(Turn("What? 什么？", "A cat.", 6), Turn("Sure?", "Yes.")))
    run = model.ask(case, max_new_tokens=4)
    answer = generated(untouched(checkpoint(family), "eager"), model, case, 4, output_attentions=True)
    assert [token.id for token in run.tokens] == answer.sequences[0].tolist()
    assert [token.id for token in run.tokens[run.last_prompt + 1 :]] == model.plain(case, 4)
    for layer, eager in zip(run.trace.layers, eager_rows(answer), strict=True):
        assert np.abs(run.trace.weights(layer)[..., :-1] - eager[:, run.trace.positions]).max() <= 1e-5
    assert all_passed(run_checks(run))
    assert {run.tokens[grid.positions[0]].turn for grid in run.grids} == {0}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tower_is_that_of_eager_attention_for_every_pair(family, tiny):
    found = check(tiny(family), clip(5), max_new_tokens=3)
    assert found.same_answer
    assert max(found.max_error_language, found.max_error_vision) < 1e-5


def test_both_frames_of_a_pair_have_its_map_and_a_pair_counts_once(tiny, monkeypatch):
    run = tiny().ask(clip(), max_new_tokens=3, vision_layers=(0,))
    stacks = [map_stack(run, picture=frame) for frame in range(6)]
    for first in (0, 2, 4):
        assert np.array_equal(stacks[first].values, stacks[first + 1].values)
    assert not np.allclose(stacks[0].values, stacks[2].values)
    assert len(run.vision) == len(run.case.pictures)
    shares = picture_shares(run)
    assert shares.names == ("0.0 to 0.5 s", "1.0 to 1.5 s", "2.0 to 2.5 s")
    assert np.allclose(shares.values.sum(-1) + shares.rest, 1, atol=1e-5)
    assert np.allclose(row_shares(run).values.sum(-1), 1, atol=1e-5)
    first_cells = np.zeros(stacks[0].values[:, 0].shape, bool)
    first_cells[:, 0, 0] = True
    monkeypatch.setattr("qwenvl_debug.maps.shares.find_sinks", lambda *_, **__: SimpleNamespace(cells=first_cells))
    kinds = row_shares(run)
    rows = averaged_rows(run, kinds.query)[..., [grid.positions[0] for grid in run.grids[::2]]]
    assert np.allclose(kinds.values[..., kinds.kinds.index("sinks")], rows.sum(-1), atol=1e-6)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three seconds at 10 frames a second, each frame brighter than the one before."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for number in range(30):
        frame = np.full((64, 96, 3), 8 * number, np.uint8)
        frame[:, :48, 2] = 255  # the left half is red, which OpenCV writes last
        writer.write(frame)
    writer.release()
    return path


def test_frames_are_taken_evenly_with_their_times_and_in_colour(film):
    video = Video.open(film, frames=4)
    assert video.seconds == (0, 1.0, 1.9, 2.9)
    levels = [int(np.median(frame.pixels[:, 60:, 1])) for frame in video.frames]
    assert levels == pytest.approx([0, 80, 152, 232], abs=4)
    assert video.frames[0].pixels[30, 10].tolist() == pytest.approx([255, 0, 0], abs=10)
    assert [frame.name for frame in video.frames][:2] == ["film.avi at 0.0 s", "film.avi at 1.0 s"]
    case = Case(video, "What happens?")
    assert (case.pictures, case.seconds) == (video.frames, video.seconds)
    assert len(Video.open(film, frames=64).frames) == 30


def test_what_is_no_video_is_refused_in_one_sentence(film, tmp_path, tiny, monkeypatch):
    (tmp_path / "letter.mp4").write_text("Dear reader")
    (tmp_path / "half.avi").write_bytes(film.read_bytes()[:200])
    # FFmpeg would open these two and go on to what they name.
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mkv").write_text(f"ffconcat version 1.0\nfile {film.name}\n")
    for path in ("letter.mp4", "half.avi", "list.mp4", "concat.mkv"):
        with pytest.raises(PictureError, match="not a video"):
            Video.open(tmp_path / path)
    for path, sentence in (("none.mp4", "no video at"), (".", "no video at")):
        with pytest.raises(PictureError, match=sentence):
            Video.open(tmp_path / path)
    for count in (1, 65):
        with pytest.raises(CaseError, match="2 to 64 frames"):
            Video.open(film, frames=count)
    monkeypatch.setattr("qwenvl_debug.video.LONGEST", 20)
    with pytest.raises(PictureError, match="more than 20 frames"):
        Video.open(film)


def test_a_model_that_takes_no_video_says_so(tmp_path, tiny):
    from qwenvl_debug.model import load_model
    from tests.model.qwen_vl_1.small import small_checkpoint

    with pytest.raises(CaseError, match="Qwen-VL takes no video"):
        load_model(small_checkpoint(tmp_path)).ask(clip())
    with pytest.raises(CaseError, match="its chat template has no place for one"):
        load_model("micro").ask(clip())
