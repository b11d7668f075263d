"""The recorded checkpoint of the original code, and small checkpoints in the published files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from qwenvl_debug.model import load_model
from qwenvl_debug.model.registration import register
from tests.model.qwen_vl_1.small import small_checkpoint

register()
RECORDED = Path(__file__).parents[2] / "data" / "qwen_vl_1"


@pytest.fixture(scope="session")
def recorded():
    """Inputs and outputs of the original code, as tensors by name."""
    with np.load(RECORDED / "recorded.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="session")
def original():
    """From an attention implementation to the recorded checkpoint in float32."""
    made = {}

    def network(attention="eager"):
        if attention not in made:
            made[attention] = AutoModelForCausalLM.from_pretrained(
                RECORDED, dtype=torch.float32, attn_implementation=attention
            ).eval()
        return made[attention]

    return network


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The folder of a small checkpoint as Qwen-VL-Chat was published: .bin shards, code beside them."""
    return small_checkpoint(tmp_path_factory.mktemp("qwen_vl_1") / "chat")


@pytest.fixture(scope="session")
def small(published):
    """That checkpoint, loaded through the same door as any other."""
    return load_model(published)
