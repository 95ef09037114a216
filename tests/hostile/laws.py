"""What holds of every error, whatever caused it, and JSON of every kind."""

from hypothesis import strategies as st

SECRET = "hunter2"
LONGEST_ERROR = 1200


def must_be_told_well(error):
    """One line that fits a screen, without a character that a terminal obeys, and without a secret."""
    text = str(error)
    assert text
    assert text.isprintable(), ascii(text[:200])
    assert len(text) <= LONGEST_ERROR, f"{len(text)} characters"
    assert SECRET not in text


odd_texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "nan",
            "a\nb",
            "\x1b[2J",
            "\ud800",
            "9" * 5000,
            "x" * 100_000,
            "\u202e",
        ]
    ),
)
odd_numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 253402300800.0, True, False]),
)
odd_json = st.recursive(
    st.one_of(st.none(), odd_numbers, odd_texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)


def nested(depth, opening="[", closing="]"):
    return opening * depth + closing * depth


@st.composite
def changed(draw, document, other=odd_json):
    """The document, with one or two of its parts left out, doubled or made something else."""
    for _ in range(draw(st.integers(1, 2))):
        document = _with_change(draw, document, other)
    return document


def _with_change(draw, document, other):
    if not document or not isinstance(document, dict | list) or draw(st.integers(0, 9)) == 0:
        return draw(other)
    if isinstance(document, list):
        place = draw(st.integers(0, len(document) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                return document[:place] + document[place + 1 :]
            case 1:
                return [*document, document[place]]
        changed_part = _with_change(draw, document[place], other)
        return [*document[:place], changed_part, *document[place + 1 :]]
    name = draw(st.sampled_from(sorted(document)))
    match draw(st.integers(0, 5)):
        case 0:
            return {key: value for key, value in document.items() if key != name}
        case 1:
            return {**document, draw(st.text(max_size=8)): document[name]}
    return {**document, name: _with_change(draw, document[name], other)}
