"""`python -m gpt4image.cli`, for launchers such as torchrun."""

import sys

from gpt4image.cli import main

sys.exit(main())
