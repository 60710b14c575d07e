from keras_mvlift.diagnosis import mistakes

ALL = (*mistakes.CALIBRATION_MISTAKES, *mistakes.IMAGE_MISTAKES)


def test_each_says_what_is_wrong_and_what_to_do():
    for mistake in ALL:
        assert isinstance(mistake, mistakes.Mistake)
        # A clause, put into "In cam1 ..."; a sentence.
        assert mistake.cause[0].islower(), mistake.name
        assert mistake.cause[-1] != ".", mistake.name
        assert mistake.remedy[0].isupper(), mistake.name
        assert mistake.remedy[-1] == ".", mistake.name
