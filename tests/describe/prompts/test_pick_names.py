"""Which prompts hold picks, by their names."""

from gpt4image.describe.prompts.pick_names import PickNames, split_answers


def test_picks_and_their_companions_are_told_from_descriptions() -> None:
    known = ["detailed@1", "pick_class@1", "describe_and_pick@1", "describe_and_pick.class@1"]
    known += ["describe_and_pick.second@1", "describe_and_pick.confidence@1", "pick", "pick_sure", "second", "class"]
    picks, texts = split_answers(known)
    assert picks == [
        PickNames("pick_class@1", None, None),
        PickNames("describe_and_pick.class@1", "describe_and_pick.second@1", "describe_and_pick.confidence@1"),
        PickNames("pick", "second", "pick_sure"),
    ]
    assert texts == ["detailed@1", "describe_and_pick@1", "class"]
