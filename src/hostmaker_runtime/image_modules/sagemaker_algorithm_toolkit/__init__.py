"""sagemaker-algorithm-toolkit, for scripts."""
