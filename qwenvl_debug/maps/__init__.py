"""Attention rows become maps over a picture.

Who asks (`query`), the maps (`stack`, `normalise`), what they are held against (`neutral`, `sinks`), and what they say
(`measures`, `shares`, `conversation`).
"""

from qwenvl_debug.maps.conversation import PartShares, picture_shares, turn_shares
from qwenvl_debug.maps.factors import tokens_on_patches, words_on_tokens
from qwenvl_debug.maps.measures import MEASURES, Measure, entropy, image_share, jensen_shannon
from qwenvl_debug.maps.neutral import NEUTRAL_QUESTION, NEUTRAL_TOKENS, ask_neutral, neutral_case
from qwenvl_debug.maps.normalise import NORMALISATIONS, Normalisation, NormalisationText
from qwenvl_debug.maps.query import (
    SAY,
    Query,
    answer_query,
    default_query,
    last_prompt_query,
    question_query,
    rows_of,
    thoughts_query,
    token_query,
    weights_of,
)
from qwenvl_debug.maps.shares import KINDS, RowShares, row_shares
from qwenvl_debug.maps.sinks import Sinks, find_sinks
from qwenvl_debug.maps.stack import MEAN, AttentionMap, MapStack, map_stack
from qwenvl_debug.maps.words import span_query, word_query

__all__ = [
    "KINDS",
    "MEAN",
    "MEASURES",
    "NEUTRAL_QUESTION",
    "NEUTRAL_TOKENS",
    "NORMALISATIONS",
    "SAY",
    "AttentionMap",
    "MapStack",
    "Measure",
    "Normalisation",
    "NormalisationText",
    "PartShares",
    "Query",
    "RowShares",
    "Sinks",
    "answer_query",
    "ask_neutral",
    "default_query",
    "entropy",
    "find_sinks",
    "image_share",
    "jensen_shannon",
    "last_prompt_query",
    "map_stack",
    "neutral_case",
    "picture_shares",
    "question_query",
    "row_shares",
    "rows_of",
    "span_query",
    "thoughts_query",
    "token_query",
    "tokens_on_patches",
    "turn_shares",
    "weights_of",
    "word_query",
    "words_on_tokens",
]
