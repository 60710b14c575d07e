"""What every source of clips keeps, whatever files it reads."""

import json
import pickle

import numpy as np
import pytest

from keras_mvlift import configs, sources


def assert_kept(reader, name, options, unlisted="nobody"):
    """Fails unless a source is opened by name, crosses process borders and knows its clips."""
    config = configs.DataConfig(source=name, source_options=json.dumps(options))
    assert sources.open_source(config, reader.root) == reader
    clips, sent = reader.clips(), pickle.loads(pickle.dumps(reader))
    assert (sent, sent.clips()) == (reader, clips)
    read, again = reader.read(clips[0]), sent.read(clips[0])
    assert read.name == clips[0]
    np.testing.assert_array_equal(again.keypoints_2d, read.keypoints_2d)
    assert unlisted not in clips
    with pytest.raises(ValueError, match=rf"`clip` must be one of `clips\(\)`.*'{unlisted}'"):
        reader.read(unlisted)
