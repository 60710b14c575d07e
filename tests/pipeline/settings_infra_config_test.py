import pytest

from pipeline import settings


def test_nothing_is_checked_unless_a_tag_is_given():
    assert not settings.InfraValidationConfig().is_wanted
    assert settings.InfraValidationConfig(tag="2.15.1").is_wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tag": "a tag"}, "`tag` must be the name of an image's part. Received: 'a tag'."),
        ({"tag": 2}, "`tag` must be the name of an image's part. Received: 2."),
        ({"serving_image": ""}, "`serving_image` must be the name of an image's part."),
        ({"docker_url": None}, "`docker_url` must be text. Received: None."),
        ({"num_examples": 0}, "`num_examples` must be at least 1. Received: 0."),
        ({"num_tries": 1.5}, "`num_tries` must be a whole number. Received: 1.5"),
        ({"max_loading_seconds": "long"}, "`max_loading_seconds` must be a whole number."),
    ],
)
def test_what_it_may_not_be_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        settings.InfraValidationConfig(**changes)
