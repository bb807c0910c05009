"""What runs inside a model's environment: the model server and the keeper. Imports nothing of hostmaker."""
