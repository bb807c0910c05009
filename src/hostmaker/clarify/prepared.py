"""An explainer as it is kept with its endpoint, made ready to explain. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hostmaker.clarify.baseline import feature_types, read_baseline
from hostmaker.clarify.config import ClarifyConfig, FeatureType, MimeType, read_config
from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.expression import Expression, ExpressionError, compile_expression
from hostmaker.clarify.outputs import mime_type, shown
from hostmaker.clarify.records import Cell, Kind, RecordError, read_csv, read_json_lines
from hostmaker.clarify.rendering import Layout, layout
from hostmaker.clarify.scores import Outputs
from hostmaker.clarify.text import Unit, engine, segmenter
from hostmaker.explainer.game import Games
from hostmaker.kit.json_value import Json

Records = list[tuple[Cell, ...]]
BYTES_OF_A_CELL = 4  # at least, with what stands between them
NOTHING = (Cell("", Kind.STRING),)  # an empty line of CSV
CLIENT = 400  # the status of a fault in what the client sends


@dataclass(frozen=True, slots=True)
class Prepared:
    """`types`: those that the answer tells, None: it tells none. `units`: cuts a text; None: no feature is text.

    `alike` has of each feature what it is in every baseline record, None where it is not the same in all.
    """

    config: ClarifyConfig
    baseline: tuple[tuple[Cell, ...], ...]
    alike: tuple[Cell | None, ...]
    types: tuple[FeatureType, ...] | None
    units: Callable[[str], tuple[Unit, ...]] | None
    outputs: Outputs
    features: Expression | None  # FeaturesAttribute
    enable: Expression | None  # EnableExplanations
    seeded: Games | None  # those of every request, with a Seed
    engine: str | None  # what cuts texts

    @property
    def width(self) -> int:
        """How many features a record has."""
        return len(self.baseline[0])

    @property
    def size(self) -> int:
        """About how many bytes the baseline has."""
        return BYTES_OF_A_CELL * self.width * len(self.baseline)

    @property
    def is_text(self) -> tuple[bool, ...]:
        """Tell of each feature whether it is text."""
        types = self.types or (None,) * self.width
        return tuple(each is FeatureType.TEXT for each in types)

    def games(self) -> Games:
        """Give the games of one request: always the same with a Seed, else drawn anew."""
        return self.seeded or Games(self.config.samples, None)

    def layout(self, content_type: str) -> Layout:
        """Give how records of a request are written; raises ExplanationError for what cannot be explained."""
        kind = mime_type(content_type)
        if kind is None:
            text = f"Unsupported content type {shown(content_type)} for explanations"
            raise ExplanationError(415, f"{text}; use text/csv or application/jsonlines")
        if kind is MimeType.JSON_LINES and self.config.content_template is None:
            text = "ContentTemplate of the endpoint's ClarifyInferenceConfig says how records are written"
            raise ExplanationError(CLIENT, f"{text}: without it, records in application/jsonlines cannot be explained")
        return layout(kind, self.config.content_template)

    def records(self, kind: MimeType, body: bytes) -> Records:
        """Read the records of a request; raises ExplanationError."""
        try:
            text = body.decode("utf-8-sig")
            found = self._csv(text) if kind is MimeType.CSV else read_json_lines(text, self.features)
        except (RecordError, UnicodeDecodeError) as error:
            raise ExplanationError(CLIENT, f"The request cannot be read as {kind.value}: {error}") from error
        for index, record in enumerate(found):
            if len(record) != self.width:
                text = f"Record {index} has {len(record)} features, the SHAP baseline has {self.width}"
                raise ExplanationError(CLIENT, text)
        return found

    def _csv(self, text: str) -> Records:
        """Read CSV; empty lines at its end are records only where a record may be one empty cell."""
        found = read_csv(text)
        while self.width > 1 and found and found[-1] == NOTHING:
            found.pop()
        return found

    def expression(self, header: str | None) -> Expression | None:
        """Give the expression that says what is explained: the request's own, else the config's, None: everything."""
        if header is None:
            return self.enable
        try:
            return compile_expression(header)
        except ExpressionError as error:
            raise ExplanationError(CLIENT, f"Invalid EnableExplanations expression: {error}") from error


def prepare(sent: Mapping[str, Json], baseline: str) -> Prepared:
    """Make an explainer of a ClarifyExplainerConfig as it was sent and of the text of its baseline.

    Raises ConfigError and ExpressionError, which an endpoint in service has been checked for.
    """
    config = read_config(sent)
    rows = read_baseline(config, baseline)
    types = feature_types(config, rows)
    return Prepared(
        config=config,
        baseline=rows,
        alike=tuple(_alike(column) for column in zip(*rows, strict=True)),
        types=types,
        units=segmenter(config.text) if config.text is not None else None,
        outputs=Outputs(config),
        features=compile_expression(config.features_attribute) if config.features_attribute else None,
        enable=compile_expression(config.enable) if config.enable else None,
        seeded=None if config.seed is None else Games(config.samples, config.seed),
        engine=engine(config.text) if config.text is not None else None,
    )


def _alike(column: Sequence[Cell]) -> Cell | None:
    first = column[0]
    return first if all(cell == first for cell in column) else None
