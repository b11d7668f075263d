"""Attention rows become maps over a picture: who asks (`query`), the maps (`stack`), what they say (`measures`)."""

from qwenvl_debug.maps.measures import MEASURES, Measure, entropy, image_share, jensen_shannon
from qwenvl_debug.maps.query import (
    Query,
    answer_query,
    default_query,
    last_prompt_query,
    question_query,
    rows_of,
    token_query,
)
from qwenvl_debug.maps.stack import MEAN, AttentionMap, MapStack, Normalisation, map_stack

__all__ = [
    "MEAN",
    "MEASURES",
    "AttentionMap",
    "MapStack",
    "Measure",
    "Normalisation",
    "Query",
    "answer_query",
    "default_query",
    "entropy",
    "image_share",
    "jensen_shannon",
    "last_prompt_query",
    "map_stack",
    "question_query",
    "rows_of",
    "token_query",
]
