import json

import numpy as np
import pytest

from components.example_gen import executor


def clip(number, **fields):
    given = {
        "clip": f"clip_{number}",
        "counts": {"train_pairs": 1, "test_views": 1},
        "reference": "recorded",
        "rig_distance": 10.0**-number,
        "num_views": 4 + number,
        "intrinsics": [[0.1 * number]],
    }
    return given | fields


def summarize(*clips, **options):
    return json.loads(json.dumps(executor.summarize([*clips], **options)))


def test_the_order_in_which_workers_finish_does_not_show():
    clips = [clip(number) for number in range(7)]
    assert executor.summarize(clips) == executor.summarize(clips[::-1])


def test_counts_are_added_up_and_clips_counted():
    summary = summarize(clip(0), clip(1, counts={"test_views": 4, "train_pairs": 2}), num_lost=3)
    assert summary["counts"] == {"train_pairs": 3, "test_views": 5}
    assert (summary["read_clips"], summary["lost_clips"]) == (2, 3)
    assert summary["dead_letters"] == "dead_letters.json"


def test_cameras_that_nobody_trains_on_do_not_count_in_the_means():
    tested = {"counts": {"train_pairs": 0, "test_views": 9}, "intrinsics": [[99.0]]}
    alone = clip(2, **tested, rig_distance=None)
    elsewhere = clip(3, **tested)
    summary = summarize(clip(0), clip(1), alone, elsewhere)
    np.testing.assert_allclose(summary["rig_distance"], 0.55)
    np.testing.assert_allclose(summary["intrinsics"], [[0.05]])
    assert summary["num_views"] == 5
    assert summary["clips"][2]["rig_distance"] is None


def test_choices_are_kept_in_their_order():
    assert summarize(clip(0), choices=["b", "a"])["choices"] == ["b", "a"]
    assert summarize(clip(0))["choices"] == []


def test_references_of_both_kinds_are_both_named():
    summary = summarize(clip(0), clip(1, reference="triangulated"))
    assert summary["reference"] == "recorded and triangulated"


@pytest.mark.parametrize("kind", ["train_pairs", "test_views"])
def test_nothing_to_train_or_test_on_is_refused(kind):
    counts = {"train_pairs": 1, "test_views": 1} | {kind: 0}
    with pytest.raises(ValueError, match=f"`{kind}` must not be empty: .*'{kind}': 0"):
        summarize(clip(0, counts=counts))


def of_span(span, *clips, split="blocks"):
    return executor.summarize([*clips], num_lost=span) | {"span": span, "split": split}


def test_spans_are_summed_up_as_one_set():
    near, far = clip(0, rig_distance=4.0), clip(1, rig_distance=6.0, num_views=7)
    found = executor.combine([of_span(3, far), of_span(2, near)])
    assert found["spans"] == [2, 3]
    assert found["rig_distance"] == 5.0
    assert found["num_views"] == 7
    assert found["counts"] == {key: 2 * value for key, value in near["counts"].items()}
    assert (found["read_clips"], found["lost_clips"]) == (2, 5)


def test_a_single_set_stays_as_it_is():
    alone = executor.summarize([clip(0)])
    assert executor.combine([alone]) is alone


def test_a_person_who_changes_sides_between_spans_is_refused():
    trains, tests = {"train_pairs": 1, "test_views": 0}, {"train_pairs": 0, "test_views": 1}
    anna, ben = clip(0, subject="anna", counts=trains), clip(1, subject="ben", counts=tests)
    former = of_span(1, anna, ben, split="subject")
    assert executor.combine([of_span(2, anna, ben, split="subject"), former])["spans"] == [1, 2]
    turned = [anna | {"counts": tests}, ben | {"counts": trains}]
    with pytest.raises(
        ValueError, match=r"`split_options` must keep a person .* anna, ben on both"
    ):
        executor.combine([of_span(2, *turned, split="subject"), former])
    # Of a clip's frames some may train and some test.
    assert executor.combine([of_span(2, *turned), of_span(1, anna, ben)])["spans"] == [1, 2]
