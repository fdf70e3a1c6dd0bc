"""The settings of the describe stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DescribeSettings:
    """Writes a description of every image into WORK/descriptions.sqlite.

    Attributes:
        images: a folder (one sub-folder a class), a list FILE.csv|.parquet|.jsonl, or fashion-mnist:train|test|1k.
        work: the work folder; descriptions already there are kept.
        describer: who writes: an OpenAI-compatible endpoint, a local transformers model, or replay of a file.
        endpoint: base URL, such as http://localhost:11434/v1; several share the work.
        model: the model's name at the endpoint; for local, a name or folder that transformers can load.
        prompt: detailed, class_detailed, attributes, tags, products, nature, aerial, medical, defects, food
            (detailed@1 for that version), or the prompt itself, or NAME=TEXT; {class}, {classes} and {COLUMN} of the
            image list are filled in; several are asked one after another.
        samples: how many descriptions of each image each prompt gets.
        schema: JSON file with a JSON schema for the answers; they are flattened to text.
        class_names: JSON object or CSV (class, name) with the words for the class folders, for {class}.
        max_tokens: limit of an answer's length; raising it redoes the truncated ones only.
        image_size: longest side in pixels of the images sent.
        thinking: whether a model that can think first shall do so; auto leaves it to the endpoint.
        temperature: of the sampling; the endpoint's own if not given.
        extra_body: JSON object with further fields of every request.
        describer_name: name of the describer in the store; the model's name if not given.
        in_flight: requests at once; adapted to the endpoint if not given.
        requests_per_minute: limit of the endpoint's plan.
        tokens_per_minute: limit of the endpoint's plan, tokens read and written together.
        retries: further attempts after a passing failure.
        timeout_s: seconds until an unanswered request counts as failed.
        retry_failed: ask again for all that failed, each in the way that may mend it.
        max_failures: stop when more fail, as 5% or a number.
        limit: describe so many images only, as many of each class.
        plan: only say what there is to do; measures tokens and time with a few real requests, which are kept.
        budget_usd: stop before the run costs more; needs the prices.
        deadline_s: stop after so many seconds.
        usd_per_million_input: price of a million tokens read.
        usd_per_million_output: price of a million tokens written.
        api_key_env: name of the environment variable that holds the API key.
        allow_remote: allow endpoints outside this machine and private networks.
        emit_batch: write the requests to this file for OpenAI's batch API or vllm run-batch instead of sending them.
        batch_size: local: images at once.
        device: local: cuda, mps, cpu, or auto.
        on: here, or ray: from the machines of a Ray cluster (extra `ray`); the local model then runs in vLLM.
        ray_address: of the cluster; RAY_ADDRESS or else one on this machine if not given.
        ray_workers: processes on the cluster; from its CPUs or, for the local model, its GPUs if not given.
        file: replay: JSON lines, CSV or Parquet; a row names its image by digest, key, path, file_name, image or index.
        field: replay: columns that hold descriptions; each becomes the prompt of its name.
    """

    images: str
    work: Path
    describer: Literal["endpoint", "local", "replay"] = "endpoint"
    endpoint: tuple[str, ...] = ()
    model: str | None = None
    prompt: tuple[str, ...] = ("detailed",)
    samples: int = 1
    schema: Path | None = None
    class_names: Path | None = None
    max_tokens: int = 512
    image_size: int = 768
    thinking: Literal["auto", "on", "off"] = "auto"
    temperature: float | None = None
    extra_body: str | None = None
    describer_name: str | None = None
    in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    retries: int = 5
    timeout_s: float = 180.0
    retry_failed: bool = False
    max_failures: str = "25%"
    limit: int | None = None
    plan: bool = False
    budget_usd: float | None = None
    deadline_s: float | None = None
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    api_key_env: str = "OPENAI_API_KEY"
    allow_remote: bool = False
    emit_batch: Path | None = None
    batch_size: int = 8
    device: str = "auto"
    on: Literal["here", "ray"] = "here"
    ray_address: str | None = None
    ray_workers: int | None = None
    file: Path | None = None
    field: tuple[str, ...] = ("description",)
