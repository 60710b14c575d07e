from benchmarks import encoding
from keras_mvlift.datasets import tfrecords

NUM_FRAMES = 100


def test_both_encoders_give_the_same_bytes():
    table = encoding.columns(NUM_FRAMES)
    assert encoding.arrow(table) == tfrecords.encode(table)


def test_templates_are_the_faster_and_higher_levels_the_smaller():
    figures = {name: (rate, size) for name, rate, size in encoding.run(NUM_FRAMES)}
    # Idle it is several times as fast; other work on the machine blurs that.
    assert figures["templates"][0] > figures["tfx_bsl, then ordered"][0]
    first, last = (figures[f"gzip, level {level}"][1] for level in (1, 6))
    assert last < first < figures["templates"][1]
