"""What an ExplainerConfig means: its members, records, expressions, scores, texts and the answer. Pure.

Control and the process that explains come in. Config, records, baseline, expression and errors need no numpy.
Source: SageMaker Developer Guide, "Online explainability with SageMaker Clarify".
"""
