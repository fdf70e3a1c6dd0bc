"""The order in which a person looks at images."""

import numpy as np

from gpt4image.label.review import order_for_review


def test_the_least_sure_come_first_and_classes_take_turns() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.2])
    proposed = np.array([0, 1, 1, 0, 2])
    assert order_for_review(confidence, proposed).tolist() == [4, 3, 1, 2, 0]
    assert order_for_review(confidence, proposed, answered=[4, 1]).tolist() == [3, 2, 0]
