"""sagemaker-huggingface-inference-toolkit, for scripts."""
