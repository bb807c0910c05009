"""One module a handler: each behaves like the image that it stands for, and gives `load(model_dir)`."""
