"""The model that answers may not be the one that was asked for."""

import pytest
from tests.describe.endpoint.stubs import completion

from gpt4image.describe.store.provenance import read_provenance


def test_another_model_is_said_once_and_kept(describing) -> None:
    stub = describing.serve(lambda asked: completion(asked.text, model="cheaper-one"))
    run = describing.run(stub.url)
    assert run.status == 0
    assert run.words.count("asked for the model m, answered by cheaper-one, as the endpoint says") == 1
    describing.run(stub.url, options=["--prompt", "tags"])
    found = read_provenance(describing.work, ["detailed@1", "tags@1"], ["m"])
    assert [one.models for one in found] == [("cheaper-one",)] * 2


@pytest.mark.parametrize("name", ["m", "M", "/models/m", "m:latest", "", None])
def test_the_same_model_under_its_other_names_is_not_worth_a_word(describing, name) -> None:
    stub = describing.serve(lambda asked: completion(asked.text, model=name))
    assert "asked for the model" not in describing.run(stub.url).words
    assert [one.models for one in read_provenance(describing.work, ["detailed@1"], ["m"])] == [()]
