"""Why a mutant may live: patterns over `path function: before => after`, the first that fits."""

UNEXPLAINED = "Nobody has said why yet"

REASONS: tuple[tuple[str, str], ...] = (
    ("Same value: `strict=` where both are of one length by construction", r"strict="),
    (
        "Same value: Python reads `inf` and `nan` in any case, and numpy takes None for NaN",
        r'"(INF|NAN)"|_NAN|nan = None',
    ),
    ("Same value: an argument that says its default", r"dtype=float|get_(prev|next)\(None\)"),
)
