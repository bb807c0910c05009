"""What stands for container images where no containers run: a catalog of images, and environments built by uv."""
