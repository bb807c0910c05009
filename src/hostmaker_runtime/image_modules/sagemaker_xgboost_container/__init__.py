"""sagemaker-xgboost-container, for scripts."""
