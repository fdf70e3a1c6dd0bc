"""Image-text models of this machine or cluster: transformers, or vLLM on its GPUs."""
