"""Runs a command of gpt4image in several processes as torchrun does, but forked: PyTorch is imported once.

Arguments: how many, and the command's.
"""

import os
import sys

import accelerate  # noqa: F401
import timm  # noqa: F401
import torch.multiprocessing
from torch.distributed import TCPStore

from gpt4image.cli.run import main


def begin(rank: int, world_size: int, port: int, words: list[str]) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR="127.0.0.1")
    os.environ.update(LOCAL_WORLD_SIZE=str(world_size), MASTER_PORT=str(port), TORCHELASTIC_USE_AGENT_STORE="True")
    sys.exit(main(words))


if __name__ == "__main__":
    number = int(sys.argv[1])
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    torch.multiprocessing.start_processes(begin, (number, store.port, sys.argv[2:]), number, start_method="fork")
