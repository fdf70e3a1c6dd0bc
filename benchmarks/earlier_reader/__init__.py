"""The reader of blind texts that weighed labels before the label stage did: kept to measure against, not used."""
