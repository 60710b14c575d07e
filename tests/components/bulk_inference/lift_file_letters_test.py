import json

import pytest

from components.bulk_inference import lift_file, readers

LETTER = lift_file.of("a.gz", 3, readers.Refusal("clip", "be UTF-8", "b'x'"))


def test_a_letter_is_a_line_that_says_where_what_and_why():
    line = lift_file.line(LETTER)
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "file": "a.gz",
        "record": 3,
        "field": "clip",
        "reason": "must be UTF-8. Received: b'x'",
    }


@pytest.mark.parametrize(
    ("num_lost", "total", "share", "too_many"),
    [(0, 0, 0.0, False), (1, 20, 0.05, False), (2, 20, 0.05, True), (1, 1, 0.0, True)],
)
def test_a_share_may_be_lost_and_no_more(num_lost, total, share, too_many):
    assert lift_file.are_too_many(num_lost, total, share) is too_many


def test_a_complaint_names_the_first_losses_in_short():
    whole = lift_file.of("b.gz", None, readers.Refusal("records", "be whole", "long " * 99))
    told = lift_file.complaint("files", 9, 10, 0.05, [LETTER, whole, *[LETTER] * 7], "out.letters")
    assert told.startswith("`max_lost_share` lets a run lose 5.0% of its files. Received: 9 of 10")
    assert "a.gz, record 3: `clip` must be UTF-8. Received: b'x'. | b.gz: `records` must" in told
    assert told.count(" | ") == lift_file.NUM_TOLD - 1
    assert len(told) < 1000
