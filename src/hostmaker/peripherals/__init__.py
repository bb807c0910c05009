"""The services around hosting that clients call on their way: STS, IAM, ECR."""
