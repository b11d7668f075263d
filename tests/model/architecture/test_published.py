"""The shipped configurations: what is counted from them is what was published, and what a page shows is a recount."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qwenvl_debug.model.architecture import describe, described, published
from qwenvl_debug.model.architecture.discover import build
from qwenvl_debug.model.architecture.shipped import find

DOCS = Path(__file__).parents[3] / "docs" / "architecture.md"


@pytest.mark.parametrize("one", published(), ids=lambda one: one.short)
def test_the_counted_weights_are_the_published_total(one, recounted):
    counted = recounted[one.name].total
    if one.total is None:
        assert one.name == "Qwen/Qwen2.5-VL-72B-Instruct", "only here was no exact total found"
        assert f"{counted / 1e9:.1f}B" in one.source
    else:
        assert counted + one.more == one.total


@pytest.mark.parametrize("one", [one for one in published() if one.more], ids=lambda one: one.short)
def test_what_a_published_total_has_more_is_the_layer_that_predicts_a_second_token(one):
    """One full-attention layer, a map that joins two vectors into one, and three norms, none of which is loaded."""
    network, _ = build(one.config(), one.name)
    text = network.config.get_text_config()
    layer = network.model.language_model.layers[text.layer_types.index("full_attention")]
    width = text.hidden_size
    assert one.more == sum(weight.numel() for weight in layer.parameters()) + 2 * width**2 + 3 * width


def test_the_shipped_descriptions_equal_a_recount(recounted):
    for one in published():
        assert described(one.name) == recounted[one.name]
    assert described("micro") == describe("micro")


def test_the_shipped_descriptions_open_without_torch():
    code = (
        "import sys\n"
        "from qwenvl_debug.model.architecture import described, flow, published, record, token_budget\n"
        "one = described(published()[0].name)\n"
        "record(one, token_budget(one.rules, 640, 480), 32)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_parts_add_up_to_the_whole_and_none_is_nameless(recounted):
    for one in recounted.values():
        assert sum(component.parameters for component in one.components) == one.total
        assert sum(one.share(component) for component in one.components) == pytest.approx(1)
        assert one.component("language.other") is None


def test_a_model_is_found_with_or_without_its_owner_and_by_its_siblings():
    assert find("qwen2.5-vl-7b-instruct").name == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert find("Qwen/QVQ-72B-Preview").name == "Qwen/Qwen2-VL-72B-Instruct"
    assert described("Qwen/Qwen3-VL-8B-Thinking").name == "Qwen/Qwen3-VL-8B-Thinking"
    assert find("Qwen/Qwen2.5-7B-Instruct") is None
    assert described("Qwen/Qwen2.5-7B-Instruct") is None


def test_the_documentation_lists_every_shipped_model_with_its_total_and_source():
    text = DOCS.read_text(encoding="utf-8")
    for one in published():
        counted = f"{described(one.name).total:,}"
        total = f"{one.total:,}" if one.total else "none found"
        assert re.search(rf"\| {re.escape(one.short)} \| {counted} \| {re.escape(total)} \|", text), one.name
        assert one.source in text
