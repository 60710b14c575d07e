import pytest

from keras_mvlift.untrusted import pickles


@pytest.fixture
def stack():
    return pickles.Stack()


def fill(stack, *values):
    for value in values:
        stack.push(value)


def test_groups_become_containers(stack):
    for make, expected in (
        (stack.tuple_of_marked, ("a", 1, "b", 2)),
        (stack.list_of_marked, ["a", 1, "b", 2]),
        (stack.dict_of_marked, {"a": 1, "b": 2}),
        (stack.frozenset_of_marked, frozenset({"a", 1, "b", 2})),
    ):
        stack.mark()
        fill(stack, "a", 1, "b", 2)
        make()
        assert stack.last() == expected


def test_containers_are_filled(stack):
    fill(stack, [], 1)
    stack.append()
    stack.mark()
    fill(stack, 2, 3)
    stack.append_marked()
    assert stack.last() == [1, 2, 3]
    fill(stack, {}, "a", 1)
    stack.set_item()
    stack.mark()
    fill(stack, "b", 2)
    stack.set_marked()
    assert stack.last() == {"a": 1, "b": 2}
    fill(stack, set())
    stack.mark()
    fill(stack, 2, 3)
    stack.add_marked()
    assert stack.last() == {2, 3}


def test_tuples_are_made_of_the_topmost(stack):
    fill(stack, 1, 2, 3)
    stack.make_tuple(2)
    stack.make_tuple(2)
    assert stack.last() == (1, (2, 3))
    stack.make_tuple(0)
    assert stack.last() == ()
    with pytest.raises(IndexError, match="lacks items"):
        stack.make_tuple(1)


def test_what_is_remembered_is_the_same_object(stack):
    part = [1]
    fill(stack, part)
    stack.memoize()
    stack.put(7)
    stack.pop()
    for index in (0, 7):
        stack.get(index)
        assert stack.last() is part
    with pytest.raises(KeyError):
        stack.get(1)


def test_what_is_unfinished_knows_where_it_is_remembered_and_is_not_given(stack):
    unfinished = pickles.Unfinished()
    fill(stack, unfinished)
    stack.put(3)
    stack.memoize()
    assert unfinished.memo_indices == [3, 1]
    with pytest.raises(ValueError, match="part of itself"):
        stack.get(3)


def test_marks_are_dropped_with_what_is_above(stack):
    fill(stack, 1)
    stack.mark()
    fill(stack, 2, 3)
    stack.pop_mark()
    stack.mark()
    stack.pop()
    assert stack.last() == 1


@pytest.mark.parametrize("value", ["text", (), None, {}, pickles.Name("set")])
def test_what_is_no_list_is_not_appended_to(stack, value):
    fill(stack, value, 1)
    with pytest.raises(TypeError, match="is filled like a list"):
        stack.append()


def test_one_value_is_left_at_the_end(stack):
    for values in ((), (1, 2)):
        fill(stack, *values)
        with pytest.raises(ValueError, match="stops before"):
            stack.last()


def test_integers_have_a_stated_length(stack):
    stack.push_integer(-(2**127))
    with pytest.raises(ValueError, match="an integer of 129 bits"):
        stack.push_integer(2**128)


def test_a_key_is_checked_wherever_it_is_set(stack):
    for make in (stack.dict_of_marked, stack.frozenset_of_marked):
        stack.mark()
        fill(stack, (("a",),), 1)
        with pytest.raises(TypeError, match="a key that is no text or number"):
            make()
