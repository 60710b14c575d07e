import json

import pytest

from keras_mvlift.training import strategies

TWO = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}
WORKER = {"type": "worker", "index": 1}


def config(cluster=TWO, task=WORKER):
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(
    "text",
    [
        config(),
        config({"worker": ["a:1"], "chief": ["b:1"]}, {"type": "chief", "index": 0}),
        config({"worker": ["[::1]:2222"]}, {"type": "worker", "index": 0}),
    ],
)
def test_a_place_among_named_workers_is_taken(monkeypatch, text):
    monkeypatch.setenv(strategies.VARIABLE, text)
    strategies.check_environment()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must be set, .* Received: nothing"),
        ("{", "must be JSON, .* Received: {"),
        ("[]", "must be an object"),
        ("{}", "must have a `cluster` .* Received: None"),
        (config({}), "must have a `cluster` of `worker` addresses"),
        (config(TWO | {"ps": ["a:1"]}), "must have a `cluster` of `worker` addresses"),
        (config({"worker": []}), r"must list `worker` as addresses, .* Received: \[\]"),
        (config({"worker": "a:1"}), "must list `worker` as addresses"),
        (config({"worker": ["a"]}), "must list `worker` as addresses, host:port each"),
        (config({"worker": [":22"]}), "must list `worker` as addresses, host:port each"),
        (config({"worker": ["a:1", "a:1"]}), "must name each address once"),
        (config(task=None), "must have a `task` whose `type` is one of the cluster's"),
        (config(task={"type": "chief", "index": 0}), "must have a `task` whose `type`"),
        (config(task={"type": "worker"}), "must .*`index` is .* from 0 to 1.* Received: None"),
        (config(task={"type": "worker", "index": 2}), "must .*`index` is .* Received: 2"),
        (config(task={"type": "worker", "index": -1}), "must .*`index` is .* Received: -1"),
        (config(task={"type": "worker", "index": True}), "must .*`index` is .* Received: True"),
    ],
)
def test_what_names_no_place_among_workers_is_refused(monkeypatch, text, rule):
    monkeypatch.setenv(strategies.VARIABLE, text)
    with pytest.raises(ValueError, match=f"^The environment's `TF_CONFIG` {rule}"):
        strategies.check_environment()


def test_a_missing_variable_is_told_with_an_example_that_would_do(monkeypatch):
    monkeypatch.delenv(strategies.VARIABLE, raising=False)
    with pytest.raises(ValueError, match="Received: nothing") as refusal:
        strategies.check_environment()
    example = str(refusal.value).split("as in ")[1].split(". Received")[0]
    monkeypatch.setenv(strategies.VARIABLE, example)
    strategies.check_environment()
