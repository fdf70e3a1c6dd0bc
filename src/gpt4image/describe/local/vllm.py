"""A local model on the GPUs of a cluster: vLLM in process, through Ray Data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gpt4image.cluster import cluster, count_workers
from gpt4image.describe.asking.missing import Ask, Thinking, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply, judge_answer
from gpt4image.describe.endpoint.fields import make_messages
from gpt4image.describe.endpoint.payload import encode_data_url
from gpt4image.describe.store.states import State
from gpt4image.errors import ModelError, UnreadableImageError
from gpt4image.images import ImageSet

ASKS_AT_ONCE = 1_000_000
"""Asks of one pass through the engines, which are loaded anew for each."""
ROWS_IN_BLOCK = 64
"""Answers come block by block; what a killed run must ask again is at most a few blocks for each GPU."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class VllmDescriber:
    """A model in vLLM, one engine a GPU of a Ray cluster.

    Attributes:
        model: its name or folder.
        sampling: vLLM's sampling parameters beside those of a request.
        address: of the cluster, None for the usual places.
        num_workers: engines, None for as many as the cluster has GPUs.
    """

    model: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    num_workers: int | None = None

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`.

        Raises:
            SettingsError: Ray is not installed, or there is no such cluster.
            ModelError: the cluster has no GPU, or vLLM is not installed.
        """
        asks = wanted.asks(recorder.store)
        # Images pass through the object store on their way to the engines: it has Ray's usual size.
        with cluster(self.address, object_store_bytes=None) as ray:
            _check_engine(ray)
            number = count_workers(ray, self.num_workers, "GPU")
            read = RowReader(ray.put(wanted.images), self.sampling)
            process = _make_processor(self.model, number, read, wanted.request.thinking)
            while batch := list(islice(asks, ASKS_AT_ONCE)):
                rows = ray.data.from_items([to_row(n, ask) for n, ask in enumerate(batch)])
                blocks = max(len(batch) // ROWS_IN_BLOCK, 1)
                for row in process(rows.repartition(blocks)).iter_rows():
                    ask = batch[row["number"]]
                    recorder.record(ask, to_reply(row, ask), in_flight=number * ROWS_IN_BLOCK)
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


def _make_processor(model: str, number: int, read: "RowReader", thinking: Thinking) -> Any:
    """What turns rows of asks into rows of answers: images are encoded on CPUs, `number` engines answer."""
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=model,
        concurrency=number,
        batch_size=ROWS_IN_BLOCK,
        engine_kwargs={"limit_mm_per_prompt": {"image": 1}},
        prepare_multimodal_stage=True,
        should_continue_on_error=True,
        log_engine_metrics=False,
    )
    template = {"chat_template_kwargs": thinking.template_fields}
    return build_processor(config, preprocess=read, postprocess=keep_answer, builder_kwargs=template)


def to_row(number: int, ask: Ask) -> dict[str, Any]:
    """What the cluster must know of an ask."""
    limits = {"max_tokens": ask.request.max_tokens} | ({} if ask.seed is None else {"seed": ask.seed})
    return {
        "number": number,
        "index": ask.index,
        "words": ask.words,
        "image_size": ask.request.image_size,
        "sampling_params": limits,
    }


class RowReader:
    """Adds the image to a row, on the cluster; one that cannot be read is asked about with nothing to see."""

    def __init__(self, images: Any, sampling: Mapping[str, Any]) -> None:
        self._reference, self._sampling = images, dict(sampling)
        self._images: ImageSet | None = None

    def __call__(self, row: Row) -> dict[str, Any]:
        """The row with `messages` and all `sampling_params`, or with `unreadable`."""
        import ray

        self._images = self._images or ray.get(self._reference)
        sampling, unreadable = self._sampling | row["sampling_params"], ""
        try:
            messages = make_messages(row["words"], encode_data_url(self._images, row["index"], row["image_size"]))
        except UnreadableImageError as error:
            messages, unreadable = [{"role": "user", "content": row["words"]}], str(error)
            sampling["max_tokens"] = 1
        return {**row, "unreadable": unreadable, "messages": messages, "sampling_params": sampling}


def keep_answer(row: Row) -> dict[str, Any]:
    """Only what goes back to the driver."""
    names = ("number", "unreadable", "generated_text", "num_input_tokens", "num_generated_tokens")
    return {name: row[name] for name in names} | {"failed": str(row.get("__inference_error__") or "")}


def to_reply(row: Row, ask: Ask) -> Reply:
    """The reply in a row that came back; one the engine failed on has no more than its number and the error."""
    if row.get("unreadable"):
        return Reply.unreadable(row["unreadable"])
    if failed := row.get("failed") or row.get("__inference_error__"):
        return Reply(State.ENDPOINT_ERROR, error=" ".join(failed.split())[:300])
    tokens = int(row["num_input_tokens"]), int(row["num_generated_tokens"])
    finish = "length" if tokens[1] >= ask.request.max_tokens else "stop"
    return judge_answer(row["generated_text"], finish=finish, tokens=tokens, as_json=ask.prompt.is_flattened)
