"""sagemaker-inference, for scripts."""
