"""sagemaker-pytorch-inference, for scripts."""
