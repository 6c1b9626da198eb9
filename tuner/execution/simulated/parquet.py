"""A CurveTable as one Parquet file.

Columns: `row` (the configuration's number, from 0), `resource`, `config.NAME` for each axis, `metric.NAME`, `seconds`;
one row per configuration and resource, in this order. The values of a choice stand there as JSON, as they may be of
several types; null is an axis that is off or does not exist, which the conditions of the space tell apart. The
file's metadata holds, under `tuner.curves`, JSON: the format's number, the space in YAML form, the metric, and so on,
and as `over` the numbers of the configurations whose training ended by itself, if there are any.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.errors import UserMistake, shown
from tuner.execution.simulated.curves import Curve
from tuner.execution.simulated.table import CurveTable, TableInfo
from tuner.records import Config, Value
from tuner.space import Axis, Choice, Int, SearchSpace, axis_to_dict, parse_axis
from tuner.spec import Metric

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"tuner.curves"
FORMAT = 1


def write_table(table: CurveTable, path: Path) -> None:
    """See CurveTable.save."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lengths = [len(curve) for curve in table.curves]
    columns: dict[str, Any] = {"row": np.repeat(np.arange(len(table), dtype=np.int32), lengths)}
    columns["resource"] = _joined([curve.resources for curve in table.curves]).astype(np.int32)
    for name, axis in table.info.space.items():
        values = [_cell(axis, name, config) for config in table.configs]
        repeated = [value for value, length in zip(values, lengths, strict=True) for _ in range(length)]
        columns[f"config.{name}"] = pa.array(repeated, _arrow_type(axis))
    numbers = {f"metric.{name}": _joined([curve.metrics[name] for curve in table.curves]) for name in table.metrics}
    numbers["seconds"] = _joined([curve.seconds for curve in table.curves])
    over = [row for row, curve in enumerate(table.curves) if curve.over]
    described = {KEY: json.dumps(_described(table.info) | ({"over": over} if over else {})).encode()}
    pq.write_table(
        pa.table(columns | numbers).replace_schema_metadata(described),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in columns if name not in ("row", "resource")],
        use_byte_stream_split=list(numbers),
    )


def read_table(path: Path) -> CurveTable:
    """See CurveTable.load."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserMistake(f"there is no table at {path}", hint="Make one of a finished study: tune record STUDY.")
    try:
        columns = pq.read_table(path)
        described = json.loads((columns.schema.metadata or {})[KEY])
        if not isinstance(described, dict):
            raise ValueError(f"its description is {shown(described)}")
        if described["format"] != FORMAT:
            raise ValueError(f"format {described['format']} where {FORMAT} is known")
        return _table(_info(described), columns, over=set(described.get("over", ())))
    except KeyError as error:
        raise _unusable(path, f"it has no {error}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException, UserMistake) as error:
        raise _unusable(path, error.message if isinstance(error, UserMistake) else str(error)) from None


def _unusable(path: Path, why: str) -> UserMistake:
    return UserMistake(f"{path} is not a table of curves: {why}", hint="Such tables are written by tune record STUDY.")


def _described(info: TableInfo) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "space": {name: axis_to_dict(axis) for name, axis in info.space.items()},
        "fixed": dict(info.space.fixed),
        "metric": info.metric.model_dump(mode="json"),
        "unit": info.unit,
        "objective": info.objective,
        "created": info.created,
        "versions": dict(info.versions),
        "note": info.note,
    }


def _info(described: dict[str, Any]) -> TableInfo:
    axes = {name: parse_axis(axis) for name, axis in described["space"].items()}
    return TableInfo(
        space=SearchSpace(axes, described["fixed"]),
        metric=Metric.model_validate(described["metric"]),
        **{name: described[name] for name in ("unit", "objective", "created", "versions", "note")},
    )


def _table(info: TableInfo, columns: pa.Table, over: set[int]) -> CurveTable:
    rows, resources = columns["row"].to_numpy(), columns["resource"].to_numpy().astype(np.int64)
    if (np.diff(rows) < 0).any():
        raise ValueError("its rows are not in order")
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    names = [name for name in columns.column_names if name.startswith("metric.")]
    numbers = {name: columns[name].to_numpy() for name in [*names, "seconds"]}
    for name, column in numbers.items():
        if column.dtype.kind not in "fiu":
            raise ValueError(f"its column {name} holds no numbers, but {columns[name].type}")
    values = {name: columns[f"config.{name}"].take(starts).to_pylist() for name in info.space}
    curves = []
    for row, (start, end) in enumerate(pairwise([*starts, len(rows)])):
        metrics = {name.removeprefix("metric."): numbers[name][start:end] for name in names}
        curves.append(Curve(resources[start:end], metrics, numbers["seconds"][start:end], over=row in over))
    configs = [
        _config(info.space, {name: column[index] for name, column in values.items()}) for index in range(len(starts))
    ]
    return CurveTable(info, configs, curves)


def _config(space: SearchSpace, cells: dict[str, Any]) -> Config:
    return space.complete({name: _value(axis, cells[name]) for name, axis in space.items()})


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays)


def _arrow_type(axis: Axis) -> pa.DataType:
    import pyarrow as pa

    return pa.string() if isinstance(axis, Choice) else pa.int64() if isinstance(axis, Int) else pa.float64()


def _cell(axis: Axis, name: str, config: Config) -> Any:
    return json.dumps(config[name]) if isinstance(axis, Choice) and name in config else config.get(name)


def _value(axis: Axis, cell: Any) -> Value:
    value: Value = json.loads(cell) if isinstance(axis, Choice) and cell is not None else cell
    return value
