"""What an ExplainerConfig means: records, expressions, scores, text, synthetic rows, answers. Pure."""
