"""Why a mutant may live: patterns over `path function: before => after`, the first that fits.

A pattern names the change, not the line alone: a new mutant of the same line has no reason yet.
"""

UNEXPLAINED = "Not seen by the quick tests, and no reason to live"

EQUAL_LENGTHS = "Nothing to tell apart: both have one length by construction, so `strict` says nothing"
SAME_VALUE = (
    "The same value in other words: a default said or left out, an upper-case `inf`, None read as NaN"
)
NOT_LOOKED_AT = "An argument that is not looked at there"
SAME_SIZE = "At equality both ways lead to the same decision"
SHORT_CUT = "A short cut: without it the same comes out, later"
ROOM = "Only how much is kept, or how far a text is shown"
TOO_FINE = "Finer than the floats that come in"
OUR_WORDS = "Words for whoever reads the code"

REASONS: tuple[tuple[str, str], ...] = (
    (EQUAL_LENGTHS, r"strict=True.* => (?!.*strict=True)"),
    (SAME_VALUE, r'float\("(INF|NAN)"\)'),
    (SAME_VALUE, r"=> desired = pending = ready = None"),
    (SAME_VALUE, r"dtype=.* => (?!.*dtype=(float|np))"),
    (
        SAME_VALUE,
        r"get_(prev|next)\(None\)|allow_nan=None|reshape\(-2,|only_empty=None",
    ),
    (SAME_VALUE, r"noticed: .*confirmed=True\) => .*foreign_at, \)"),
    (SAME_VALUE, r"to_json: case Enum"),
    (NOT_LOOKED_AT, r"\(proposal, None\)|_fields_to_json\(value, None\)|pauses\(None,|\"an object\", None\)"),
    (NOT_LOOKED_AT, r"returned: .* => .*Returning\((None, at, at|worker, at, None)\)"),
    (NOT_LOOKED_AT, r'=> .*re\.sub\("FRI\|MAR\|APR", "XXXX"|=> self\.hours\(1\.0\)'),
    (SAME_SIZE, r"(Stabilization|RateLimit)\.__call__: .*if proposal\.workers [<>] current.* => .*[<>]="),
    (SAME_SIZE, r"Stabilization\.__call__: .* => .*< current or self\.in_seconds"),
    (SAME_SIZE, r"sign >= 0|_stays: .*wish <= current|obeyed: .*limited\.workers >= current"),
    (SAME_SIZE, r"after_write: .* => .*<= rate_period_seconds"),
    (SAME_SIZE, r"_proposed: .* => .*Proposal\(context\.current, 1,"),
    (SAME_SIZE, r"_decided: .*budget is None or state\.tokens is None => .* and "),
    (SAME_SIZE, r"lower: if self\.wanted <= 0: => if self\.wanted < 0:"),
    (SAME_SIZE, r"_step: ours \|= seen\.protected_within"),  # at the first look nothing is ours yet
    (SAME_SIZE, r"_drain: protected \|= .* => protected = "),  # what is added contains what was there
    (SHORT_CUT, r"_step: .*returning\(removal\)\)\) => return replace\(step, \)"),
    (SHORT_CUT, r"_Rows\.(ours|releasable): |placed: .*len\(names\) == 1\) and False"),
    (SHORT_CUT, r"plain: .*\(text\.isprintable\(\)\) and False|unseen: .*bare_since is not None\) or True"),
    (SHORT_CUT, r"chosen: if count <= 0 .* => if count < 0 "),
    (ROOM, r"_Buffer\(3 \* |bound < MOST_BOUND|_cut\(_SHOWN\.repr\(got\), 61\)|bound: int = 1025"),
    (ROOM, r"default=(None|1\.0)\)|at \+ 2\)?,"),
    (TOO_FINE, r"round\(scaled, 10\)|>= 1e-9"),
    (OUR_WORDS, r"assert .*\"(XX|[A-Z ]+\")"),
)
