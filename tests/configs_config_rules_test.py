import dataclasses
import math

import pytest

from keras_mvlift import configs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(configs.Json):
    flour: float = 1.0
    steps: tuple[str, ...] = ("knead", "rest")


def test_a_dataclass_comes_back_from_json_hashable():
    again = Recipe.from_json(Recipe(flour=2.0, steps=("bake",)).to_json())
    assert again == Recipe(flour=2.0, steps=("bake",))
    assert hash(again) == hash(Recipe(flour=2.0, steps=("bake",)))


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`Recipe` has no such fields. Received: \['sugar'\]"):
        Recipe.from_json('{"sugar": 1}')


def test_a_name_that_is_not_known_is_refused_with_those_that_are():
    configs.one_of("bread", "rye", ("rye", "wheat"))
    with pytest.raises(ValueError, match=r"`bread` must be one of rye, wheat. Received: 'oat'"):
        configs.one_of("bread", "oat", ("rye", "wheat"))


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_below_its_bound_is_refused(value):
    configs.at_least("flour", 0.0, 0)
    with pytest.raises(ValueError, match="`flour` must be at least 0"):
        configs.at_least("flour", value, 0)


@pytest.mark.parametrize("widths", [3, (), (3,), (3, 4), (3, 1), (3, -3), (3.0, 3), "33"])
def test_filters_that_no_temporal_network_has_are_refused(widths):
    configs.filter_widths("filters", (3, 5))
    configs.filter_widths("filters", [1, 1])
    with pytest.raises(ValueError, match=r"`filters` must be two or more odd .* Received: "):
        configs.filter_widths("filters", widths)
