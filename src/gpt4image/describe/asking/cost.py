"""What tokens cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens, read and written."""

    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None

    @property
    def known(self) -> bool:
        return self.usd_per_million_input is not None and self.usd_per_million_output is not None

    def usd(self, tokens_in: float, tokens_out: float) -> float:
        """The price of so many tokens; 0 as far as prices are not known."""
        inputs = tokens_in * (self.usd_per_million_input or 0)
        return (inputs + tokens_out * (self.usd_per_million_output or 0)) / 1e6
