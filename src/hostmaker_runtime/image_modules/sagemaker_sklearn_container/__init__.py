"""sagemaker-scikit-learn-container, for scripts."""
