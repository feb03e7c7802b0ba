"""What a command lists of the attributes."""

from prompting import Attributes, describe_attributes, parse_settings


def test_every_attribute_is_described() -> None:
    described = {description.key: description for description in describe_attributes()}
    assert tuple(described) == tuple(Attributes.model_fields)
    assert all(description.takes for description in described.values())
    assert described["gender"].is_closed
    assert "man" in described["gender"].values
    assert "headwear" in described["hat"].called
    assert described["phrases"].values == ()


def test_what_is_listed_is_taken() -> None:
    for description in describe_attributes():
        for value in description.values:
            parse_settings([f"{description.key}={value}"])
        for name in description.called:
            if description.values:
                parse_settings([f"{name}={description.values[0]}"])
