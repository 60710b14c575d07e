from benchmarks import command_line

MOST_SECONDS = 1.0


def test_help_and_mistakes_take_less_than_a_second_of_the_processor():
    measured = command_line.measure(["lift --help", *command_line.MISTAKES[-4:]])
    assert [status for status, _ in measured.values()] == [0, 1, 1, 1, 2]
    assert max(seconds for _, seconds in measured.values()) < MOST_SECONDS
