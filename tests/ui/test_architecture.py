"""The Architecture page and its drawing: what they show is what the configuration says."""

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.model.architecture import described, published, record, token_budget
from qwenvl_debug.ui.architecture_diagram import diagram_data, short_count
from qwenvl_debug.ui.architecture_tables import attention_table, budget_rows, component_table, figure_table
from tests.model.tiny import tiny_checkpoint

ROOT = Path(__file__).parents[2]
PAGE = "pages/model/architecture.py"
LARGE = "Qwen/Qwen3-VL-8B-Instruct"


def open_page(**chosen):
    """The page, with what someone typed into its selectors before it is drawn."""
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.run()
    app.switch_page(PAGE)
    for name, value in chosen.items():
        app.session_state[name] = value
    return app.run()


@pytest.fixture
def page():
    return open_page()


def until(app, met, seconds=60):
    end = time.monotonic() + seconds
    while not met(app):
        assert time.monotonic() < end, "It did not come in time."
        time.sleep(0.2)
        app.run()
    return app


def figures_of(app):
    return {metric.label: metric.value for metric in app.metric}


def test_the_page_opens_on_the_bundled_model_and_offers_every_shipped_one(page):
    assert not page.exception
    assert page.title[0].value == "Architecture"
    assert page.selectbox(key="architecture").value == "micro"
    assert {one.name for one in published()} <= set(page.selectbox(key="architecture").options)
    assert figures_of(page)["Weights"] == short_count(described("micro").total)


def test_a_shipped_model_and_a_picture_give_their_figures(page):
    page.selectbox(key="architecture").select(LARGE)
    page.number_input(key="width").set_value(1920)
    page.number_input(key="height").set_value(1080)
    page.run()
    assert not page.exception
    shown = figures_of(page)
    assert shown["Weights"] == "8.77 B"
    assert shown["Tokens of the picture"] == f"{60 * 34:,}"
    assert shown["Attentions with a map"] == "63 of 63"
    assert any("34 x 60 = 2,040" in text.value for text in page.markdown)
    assert len(page.dataframe) == 2


def test_two_models_stand_side_by_side(page):
    page.selectbox(key="architecture").select(LARGE)
    page.selectbox(key="beside").select("Qwen/Qwen-VL").run()
    assert not page.exception
    table = page.dataframe[0].value.set_index("figure")
    assert list(table.loc["Weights"])[:2] == ["8,767,123,696", "9,656,935,168"]
    assert not table.loc["Vision attention heads", "differs"]
    page.toggle(key="architecture_differs").set_value(True).run()
    assert page.dataframe[0].value["differs"].all()


def test_a_folder_with_a_configuration_alone_is_described(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model", "qwen3_5")
    (folder / "model.safetensors").unlink()
    page = until(open_page(architecture=str(folder)), lambda app: app.metric)
    assert not page.exception
    assert not page.error
    assert "Gated DeltaNet" in page.dataframe[0].value["component"].tolist()


def test_what_cannot_be_shown_is_said_in_one_sentence_and_nothing_is_lost(page):
    page.selectbox(key="architecture").select(LARGE)
    page.number_input(key="height").set_value(2)
    page.run()
    assert "crop it" in page.error[0].value
    assert page.selectbox(key="architecture").value == LARGE
    page = until(open_page(architecture=LARGE, beside="/no/such/folder"), lambda app: app.error)
    assert "/no/such/folder" in page.error[0].value
    assert page.selectbox(key="architecture").value == LARGE
    assert not page.exception


@pytest.mark.parametrize("one", published(), ids=lambda one: one.short)
def test_the_drawing_has_a_mark_for_every_layer_and_boxes_that_hold_all_weights(one):
    model = described(one.name)
    data = json.loads(json.dumps(diagram_data(model, token_budget(model.rules, 640, 480))))
    assert len(data["strips"]["vision"]) == model.vision_layers
    assert len(data["strips"]["decoder"]) == model.language_layers
    assert sum(block["share"] or 0 for block in data["blocks"].values()) == pytest.approx(1)
    assert {end for edge in data["edges"] for end in edge.split(">")} == set(data["blocks"])
    tapped = [number for number, layer in enumerate(data["strips"]["vision"]) if layer["tapped"]]
    assert tapped == list(model.deepstack)
    assert all(line["words"] for line in data["legend"])


def test_the_tables_hold_every_component_and_module_with_dashes_for_what_is_not_there():
    model = described("Qwen/Qwen3.5-9B")
    budget = token_budget(model.rules, 640, 480)
    parts = component_table(model)
    assert parts["weights"].sum() == model.total
    assert parts["share"].sum() == pytest.approx(100)
    assert parts.set_index("component").loc["Merger"].isna()["heads"]
    modules = attention_table(model, budget, 32)
    assert len(modules) == 27 + 32
    linear = modules[modules["kind"] == "linear"]
    assert set(linear["weights"]) == {"–"}
    assert not linear["map"].any()
    assert modules[modules["kind"] == "language full"]["weights"].unique().tolist() == ["16 x 332 x 332"]
    assert record(model, budget, 32)["attention_modules"][-1]["weights"] == (16, 332, 332)


def test_the_steps_of_the_first_generation_say_that_its_tokens_are_no_regions():
    model = described("Qwen/Qwen-VL")
    steps = dict(budget_rows(model, token_budget(model.rules, 1920, 1080), 32))
    assert steps["Resized"] == "448 x 448 pixels, every picture is stretched to this square"
    assert steps["Tokens"].startswith("256, one for each learned query")


def test_a_model_beside_itself_keeps_two_columns():
    model = described("micro")
    budget = token_budget(model.rules, 640, 480)
    table = figure_table([model, model], [budget, budget])
    assert list(table.columns) == ["figure", "micro (left)", "micro (right)", "differs"]
    assert not table["differs"].any()


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (999, "999"),
        (18_432, "18.4 K"),
        (631_975_680, "632 M"),
        (3_754_622_976, "3.75 B"),
        (1_500_000_000_000, "1,500 B"),
    ],
)
def test_numbers_of_weights_are_said_as_people_say_them(count, words):
    assert short_count(count) == words
