"""A local model on the GPUs of a cluster: vLLM in process, through Ray Data."""

from collections.abc import Iterator, Mapping
from typing import Any

from gpt4image.cluster import cluster, count_workers
from gpt4image.describe.asking.missing import Ask, Request, Thinking
from gpt4image.describe.asking.record import Answer, Recorder
from gpt4image.describe.asking.reply import Reply, judge_answer
from gpt4image.describe.endpoint.client import Question, make_messages
from gpt4image.describe.endpoint.lanes import parse_extra_body
from gpt4image.describe.endpoint.payload import encode_image, to_data_url
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.settings import DescribeSettings
from gpt4image.describe.store.states import State
from gpt4image.errors import ModelError, UnreadableImageError
from gpt4image.images import ImageSet

ASKS_AT_ONCE = 1_000_000
"""Asks of one pass through the engines, which are loaded anew for each."""
ROWS_IN_BLOCK = 64
"""Answers come block by block; what a killed run must ask again is at most a few blocks for each GPU."""

Row = Mapping[str, Any]


def ask_vllm(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    """Asks the model of `settings`, one vLLM engine a GPU; the answers go to `recorder`.

    Returns:
        why the run stopped early, or "".

    Raises:
        SettingsError: Ray is not installed, or there is no such cluster.
        ModelError: the cluster has no GPU, or vLLM is not installed.
    """
    from itertools import islice

    sampling = parse_extra_body(settings)
    # Images pass through the object store on their way to the engines: it has Ray's usual size.
    with cluster(settings.ray_address, object_store_bytes=None) as ray:
        _check_engine(ray)
        number = count_workers(ray, settings.ray_workers, "GPU")
        read = RowReader(ray.put(images), sampling, has_samples=settings.samples > 1)
        process = _make_processor(settings, number, read)
        while batch := list(islice(asks, ASKS_AT_ONCE)):
            rows = ray.data.from_items([to_row(n, ask, places) for n, ask in enumerate(batch)])
            blocks = max(len(batch) // ROWS_IN_BLOCK, 1)
            for row in process(rows.repartition(blocks)).iter_rows():
                ask = batch[row["number"]]
                recorder.record(ask, to_answer(row, ask), in_flight=number * ROWS_IN_BLOCK)
                if reason := recorder.rules.reason(in_flight=0):
                    return reason
    return ""


def _check_engine(ray: Any) -> None:
    from importlib.util import find_spec

    if not ray.cluster_resources().get("GPU"):
        raise ModelError(
            "--describer local --on ray runs vLLM on GPUs, and this cluster has none; join one that has with "
            "--ray-address, or use --describer endpoint"
        )
    if find_spec("vllm") is None:
        raise ModelError("--describer local --on ray needs vLLM on every machine; pip install 'ray[llm]'")


def _make_processor(settings: DescribeSettings, number: int, read: "RowReader") -> Any:
    """What turns rows of asks into rows of answers: images are encoded on CPUs, `number` engines answer."""
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    assert settings.model is not None
    config = vLLMEngineProcessorConfig(
        model_source=settings.model,
        concurrency=number,
        batch_size=ROWS_IN_BLOCK,
        engine_kwargs={"limit_mm_per_prompt": {"image": 1}},
        prepare_multimodal_stage=True,
        should_continue_on_error=True,
        log_engine_metrics=False,
    )
    thinking = Thinking(settings.thinking)
    template = {} if thinking is Thinking.AUTO else {"enable_thinking": thinking is Thinking.ON}
    return build_processor(
        config, preprocess=read, postprocess=keep_answer, builder_kwargs={"chat_template_kwargs": template}
    )


def to_row(number: int, ask: Ask, places: Places) -> dict[str, Any]:
    """What the cluster must know of an ask."""
    return {
        "number": number,
        "index": ask.index,
        "words": places.render(ask.prompt, ask.index),
        "max_tokens": ask.request.max_tokens,
        "image_size": ask.request.image_size,
        "sample": ask.sample,
    }


class RowReader:
    """Adds the image to a row, on the cluster; one that cannot be read is asked about with nothing to see."""

    def __init__(self, images: Any, sampling: Mapping[str, Any], has_samples: bool) -> None:
        self._reference, self._sampling, self._has_samples = images, dict(sampling), has_samples
        self._images: ImageSet | None = None

    def __call__(self, row: Row) -> dict[str, Any]:
        """The row with `messages` and `sampling_params`, or with `unreadable`."""
        import ray

        self._images = self._images or ray.get(self._reference)
        request = Request(row["max_tokens"], row["image_size"])
        limits = {"max_tokens": request.max_tokens} | ({"seed": row["sample"]} if self._has_samples else {})
        try:
            image, error = encode_image(self._images, row["index"], request.image_size), ""
        except UnreadableImageError as problem:
            image, error, limits["max_tokens"] = b"", str(problem), 1
        messages = make_messages(Question(row["words"], to_data_url(image), request))
        if error:
            messages[0]["content"] = row["words"]
        return {**row, "unreadable": error, "messages": messages, "sampling_params": self._sampling | limits}


def keep_answer(row: Row) -> dict[str, Any]:
    """Only what goes back to the driver."""
    names = ("number", "unreadable", "generated_text", "num_input_tokens", "num_generated_tokens")
    return {name: row[name] for name in names} | {"failed": str(row.get("__inference_error__") or "")}


def to_answer(row: Row, ask: Ask) -> Answer:
    """The answer in a row that came back; one the engine failed on has no more than its number and the error."""
    if row.get("unreadable"):
        return Answer(Reply(State.UNREADABLE_IMAGE, error=row["unreadable"]), attempts=0, seconds=0.0)
    if failed := row.get("failed") or row.get("__inference_error__"):
        return Answer(Reply(State.ENDPOINT_ERROR, error=" ".join(failed.split())[:300]), attempts=1, seconds=0.0)
    tokens = int(row["num_input_tokens"]), int(row["num_generated_tokens"])
    finish = "length" if tokens[1] >= ask.request.max_tokens else "stop"
    as_json = ask.prompt.schema is not None
    reply = judge_answer(row["generated_text"], finish=finish, tokens=tokens, as_json=as_json)
    return Answer(reply, attempts=1, seconds=0.0)
