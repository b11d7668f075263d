"""What flows where in a model? Boxes and arrows, from a picture and a question to an answer, in plain words.

Which boxes there are follows from the components that were counted; the numbers on the arrows are those of one picture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qwenvl_debug.model.architecture.budget import TokenBudget
from qwenvl_debug.model.architecture.description import Architecture, numbered


@dataclass(frozen=True)
class Block:
    """A box of the flow.

    Attributes:
        key: "picture", "vision", "connector", "deepstack", "question", "embedding", "decoder", "head" or "answer".
        title: for people.
        facts: its figures, a line each.
        plain: what happens here, for someone who never saw such a model.
        parameters: its weights; None for what goes in and what comes out.
    """

    key: str
    title: str
    facts: tuple[str, ...]
    plain: str
    parameters: int | None = None


@dataclass(frozen=True)
class Edge:
    """An arrow of the flow, from a block to a block, with what goes along it."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Flow:
    """The boxes and arrows of one model, with the numbers of one picture."""

    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]

    def block(self, key: str) -> Block | None:
        """The box of this key, or None."""
        return next((block for block in self.blocks if block.key == key), None)

    def edge(self, source: str, target: str) -> Edge | None:
        """The arrow between two boxes, or None."""
        return next((edge for edge in self.edges if (edge.source, edge.target) == (source, target)), None)

    def in_words(self) -> str:
        """The whole flow as text, for someone who cannot see the drawing."""
        titles = {block.key: block.title for block in self.blocks}
        return " ".join(f"{titles[edge.source]} to {titles[edge.target]}: {edge.label}." for edge in self.edges)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def flow(architecture: Architecture, budget: TokenBudget) -> Flow:
    """The flow of a model.

    Args:
        architecture: the model.
        budget: the picture whose patches and tokens stand on the arrows.
    """
    edges = [
        Edge(
            "picture",
            "vision",
            f"{budget.patches:,} patches of {architecture.rules.patch} x {architecture.rules.patch} pixels",
        ),
        Edge("vision", "connector", f"{budget.patches:,} vectors"),
        Edge("connector", "decoder", f"{budget.tokens:,} picture tokens"),
        Edge("question", "embedding", "tokens"),
        Edge("embedding", "decoder", "word tokens"),
        Edge("decoder", "head", "the last token's vector"),
        Edge("head", "answer", "one token at a time"),
    ]
    blocks = [_picture(budget), _vision(architecture), _connector(architecture)]
    if architecture.deepstack:
        blocks.append(_deepstack(architecture))
        layers = numbered("layer", range(len(architecture.deepstack)))
        edges.insert(2, Edge("vision", "deepstack", f"after {numbered('block', architecture.deepstack)}"))
        edges.insert(4, Edge("deepstack", "decoder", f"added after {layers}"))
    blocks += [
        Block("question", "Question", (), "The words of the conversation, cut into tokens."),
        _embedding(architecture),
        _decoder(architecture),
        _head(architecture),
        Block("answer", "Answer", (), "Each new token is put behind the others, and the decoder runs again."),
    ]
    return Flow(tuple(blocks), tuple(edges))


def _picture(budget: TokenBudget) -> Block:
    size, seen = f"{budget.width:,} x {budget.height:,}", f"{budget.resized_width:,} x {budget.resized_height:,}"
    facts = (f"{size} pixels",) if size == seen else (f"{size} pixels", f"seen at {seen}")
    return Block(
        "picture", "Picture", facts, "The picture is resized as the model needs it and cut into square patches."
    )


def _vision(architecture: Architecture) -> Block:
    attention = architecture.component("vision.attention")
    kinds = architecture.layer_kinds("vision")
    facts = [f"{architecture.vision_layers} blocks, {attention.heads} heads, {attention.width:,} wide"]
    if "vision windowed" in kinds:
        facts.append(f"{kinds.count('vision windowed')} windowed, {kinds.count('vision full')} full")
    plain = "Turns each patch into a vector. Its attention lets patches of one picture look at each other."
    return Block("vision", "Vision encoder", tuple(facts), plain, architecture.part_parameters("vision"))


def _connector(architecture: Architecture) -> Block:
    rules = architecture.rules
    own = sum(
        component.parameters
        for component in architecture.components
        if component.part == "connector" and component.key != "connector.deepstack"
    )
    if rules.queries:
        plain = "Learned queries read all patches; what each of them gathers becomes one token for the decoder."
        return Block("connector", "Resampler", (f"{rules.queries} queries read all patches",), plain, own)
    fact = f"{rules.merge} x {rules.merge} patches become 1 token"
    plain = "Neighbouring patches are joined into one token and brought to the decoder's width."
    return Block("connector", "Merger", (fact,), plain, own)


def _deepstack(architecture: Architecture) -> Block:
    component = architecture.component("connector.deepstack")
    plain = "Earlier, finer features of the vision encoder take a short cut to the decoder's first layers."
    return Block(
        "deepstack",
        "Deepstack",
        (f"{component.layers} more merger{'s' if component.layers != 1 else ''}",),
        plain,
        component.parameters,
    )


def _embedding(architecture: Architecture) -> Block:
    component = architecture.component("language.embedding")
    plain = "Looks up a vector for each token of the text."
    fact = f"{architecture.vocabulary:,} tokens known"
    return Block("embedding", "Word embedding", (fact,), plain, component.parameters)


def _decoder(architecture: Architecture) -> Block:
    outside = ("language.embedding", "language.head")
    inside = [c for c in architecture.components if c.part == "language" and c.key not in outside]
    facts = [f"{architecture.language_layers} layers, {architecture.width:,} wide"]
    attention = architecture.component("language.attention")
    if attention is not None:
        facts[0] += f", {attention.heads} heads"
        if attention.kv_heads != attention.heads:
            facts[0] += f" over {attention.kv_heads} key heads"
    kinds = architecture.layer_kinds("language")
    linear = kinds.count("linear")
    if linear:
        facts.append(f"{len(kinds) - linear} with softmax attention, {linear} linear")
    experts = architecture.component("language.experts")
    if experts is not None:
        facts.append(experts.technique.split(": ", 1)[-1])
    plain = "Reads picture tokens and words in one sequence; each token looks back at all before it."
    total = sum(component.parameters for component in inside)
    return Block("decoder", "Language decoder", tuple(facts), plain, total)


def _head(architecture: Architecture) -> Block:
    component = architecture.component("language.head")
    facts = ("shares the word embedding's weights",) if architecture.tied else ()
    plain = "Gives every token it knows a score; the likeliest is the next of the answer."
    return Block("head", "Output head", facts, plain, component.parameters if component else 0)
