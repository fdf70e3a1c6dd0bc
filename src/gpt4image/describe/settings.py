"""The settings of the describe stage, in groups; `DescribeSettings` has all of them."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal


@dataclass(frozen=True)
class WhatToDescribe:
    """What to describe.

    Attributes:
        images: a folder (one sub-folder a class), a list FILE.csv|.parquet|.jsonl, or fashion-mnist:train|test|1k.
        work: the work folder; descriptions already there are kept.
        limit: describe so many images only, as many of each class.
        retry_failed: ask again for all that failed, each in the way that may mend it.
    """

    images: str
    work: Path
    _: KW_ONLY
    limit: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class WhoDescribes:
    """Who describes.

    Attributes:
        describer: who writes: an OpenAI-compatible endpoint, a local transformers model, or replay of a file.
        endpoint: base URL, such as http://localhost:11434/v1; several share the work.
        model: the model's name at the endpoint; for local, a name or folder that transformers can load.
        api_key_env: environment variable that holds the API key; with several endpoints one for each, in their order
            ("none" for an endpoint without).
        api_key_file: file that holds the API key instead, read again when it changes; several as for api_key_env.
        header: further headers as NAME=ENVIRONMENT_VARIABLE, such as api-key=AZURE_KEY.
        ca_file: PEM file of an authority that vouches for the endpoint's certificate; SSL_CERT_FILE if not given.
        allow_remote: allow endpoints outside this machine and private networks.
        describer_name: name of the describer in the store; the model's name if not given.
    """

    describer: Literal["endpoint", "local", "replay"] = "endpoint"
    endpoint: tuple[str, ...] = ()
    model: str | None = None
    api_key_env: tuple[str, ...] = ("OPENAI_API_KEY",)
    api_key_file: tuple[Path, ...] = ()
    header: tuple[str, ...] = ()
    ca_file: Path | None = None
    allow_remote: bool = False
    describer_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class WhatToAsk:
    """Prompts and answers.

    Attributes:
        prompt: detailed, class_detailed, attributes, tags, products, nature, aerial, medical, defects, food,
            pick_class, describe_and_pick (detailed@1 for that version), or the prompt itself, or NAME=TEXT; {class},
            {classes} and {COLUMN} of the image list are filled in; several are asked one after another.
        samples: how many descriptions of each image each prompt gets.
        class_names: JSON object of class to name, or to {"name": ..., "explanation": ...}, or CSV (class, name,
            explanation): what the classes are called in prompts, and a sentence about each that {classes} shows.
        schema: JSON file with a JSON schema for the answers; they are flattened to text.
        max_tokens: limit of an answer's length; raising it redoes the truncated ones, and those whose thinking
            took it all, only.
        image_size: longest side in pixels of the images sent.
        thinking: whether a model that can think first shall do so; auto leaves it to the endpoint.
        temperature: of the sampling; the endpoint's own if not given.
        answer_from: where the answer stands when the content is empty: reasoning for servers that put it there.
    """

    prompt: tuple[str, ...] = ("detailed",)
    samples: int = 1
    class_names: Path | None = None
    schema: Path | None = None
    max_tokens: int = 512
    image_size: int = 768
    thinking: Literal["auto", "on", "off"] = "auto"
    temperature: float | None = None
    answer_from: Literal["content", "reasoning"] = "content"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Money and limits.

    Attributes:
        plan: only say what there is to do; measures tokens and time with a few real requests, which are kept.
        budget_usd: stop before the run costs more; needs the prices.
        usd_per_million_input: price of a million tokens read.
        usd_per_million_output: price of a million tokens written.
        deadline_s: stop after so many seconds.
        max_failures: stop when more fail, as 5% or a number.
    """

    plan: bool = False
    budget_usd: float | None = None
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    deadline_s: float | None = None
    max_failures: str = "25%"


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests to an endpoint.

    Attributes:
        in_flight: requests at once; adapted to the endpoint if not given.
        requests_per_minute: limit of the endpoint's plan.
        tokens_per_minute: limit of the endpoint's plan, tokens read and written together.
        retries: further attempts after a passing failure.
        timeout_s: seconds until an unanswered request counts as failed.
        max_wait: longest wait in seconds for an endpoint that asks to wait, or that is not there any more.
        extra_body: JSON object with further fields of every request; null leaves a field out.
        emit_batch: write the requests to this file for OpenAI's batch API or vllm run-batch instead of sending them.
        batch_url: the URL in each line of that file, as the batch service wants it.
    """

    in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    retries: int = 5
    timeout_s: float = 180.0
    max_wait: float = 600.0
    extra_body: str | None = None
    emit_batch: Path | None = None
    batch_url: str = "/v1/chat/completions"


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """Local model.

    Attributes:
        batch_size: images at once.
        device: cuda, mps, cpu, or auto.
    """

    batch_size: int = 8
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """Ray cluster.

    Attributes:
        on: here, or ray: from the machines of a Ray cluster (extra `ray`); the local model then runs in vLLM.
        ray_address: of the cluster; RAY_ADDRESS or else one on this machine if not given.
        ray_workers: processes on the cluster; from its CPUs or, for the local model, its GPUs if not given.
    """

    on: Literal["here", "ray"] = "here"
    ray_address: str | None = None
    ray_workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Replay of a file.

    Attributes:
        file: JSON lines, CSV or Parquet; a row names its image by digest, key, path, file_name, image or index.
        field: columns that hold descriptions; each becomes the prompt of its name.
    """

    file: Path | None = None
    field: tuple[str, ...] = ("description",)


# Dataclasses take their fields from the last base first, which is the order of the groups above.
@dataclass(frozen=True)
class DescribeSettings(Replay, RayCluster, LocalModel, Requests, Limits, WhatToAsk, WhoDescribes, WhatToDescribe):
    """Writes a description of every image into WORK/descriptions.sqlite."""

    COMMON: ClassVar[tuple[str, ...]] = (
        "limit", "retry_failed", "describer", "endpoint", "model", "api_key_env", "allow_remote", "prompt", "plan",
        "budget_usd", "file", "field",
    )  # fmt: skip
