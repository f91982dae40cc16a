"""A small trained model that weighs all words of a reply, where a rule looks at one phrase.

Each word, each pair of neighbours, the codes: every one of them speaks for some causes and against others, by weights
learnt from labelled replies (benchmarks/train.py). Their sum, and the word of the rule that holds, decide together. It
is linear, so what decided can be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.classifier.words import Ints

Floats = npt.NDArray[np.float32]

FILE = "model.arrow"
MAX_CHARACTERS = 600
"""What the model looks at of a masked reply: the reason stands early, what follows are links and tickets."""

# Scripts that put no blanks between words: each letter is a word, and neighbours make pairs.
_UNSPACED = r"([\x{e00}-\x{eff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}])"
_NO_WORD = r"[^\pL\pM*@#']+"
_STEM = 5


@dataclass(frozen=True)
class Model:
    """Features, and what each adds to each cause (an index of the causes); `scale` is the unit of the weights."""

    features: pa.StringArray
    weights: npt.NDArray[np.int8]
    bias: Floats
    scale: float

    def scores(self, texts: pa.StringArray, code: Ints, enhanced: pa.StringArray) -> Floats:
        """How much speaks for each cause, in natural logarithms: a row a masked text, a column a cause."""
        words, row = features(texts, code, enhanced)
        return self.weigh(pc.fill_null(pc.index_in(words, self.features), -1).to_numpy(), row, len(texts))

    def weigh(self, feature: Ints, row: Ints, rows: int) -> Floats:
        """The same of features by their number, -1 for unknown ones, each in its row."""
        known = feature >= 0
        feature, row = feature[known], row[known]
        order = np.argsort(row, kind="stable")
        feature, row = feature[order], row[order]
        totals = np.zeros((rows, self.weights.shape[1]), np.float32)
        if len(row):
            starts = np.flatnonzero(np.diff(row, prepend=-1))
            # Few rows at a time: what is gathered stays in the processor's cache.
            for first in range(0, len(starts), 512):
                some = starts[first : first + 512]
                end = starts[first + 512] if first + 512 < len(starts) else len(row)
                gathered = self.weights[feature[some[0] : end]]
                sums = np.add.reduceat(gathered, some - some[0], axis=0, dtype=np.float32)
                counts = np.diff(np.append(some, end)).astype(np.float32)
                totals[row[some]] = sums * (self.scale / np.sqrt(counts))[:, None]
        return totals + self.bias


def features(texts: pa.StringArray, code: Ints, enhanced: pa.StringArray) -> tuple[pa.StringArray, Ints]:
    """What the model sees of masked texts, and in which row it stands.

    >>> words, row = features(pa.array(["No such user"]), np.array([550]), pa.array(["5.1.1"]))
    >>> words.to_pylist()
    ['no', 'such', 'user', 'no such', 'such user', '550', '5xx', '5.1.1', '.1.1']
    """
    plain = pc.utf8_lower(pc.utf8_slice_codeunits(pc.fill_null(texts, ""), 0, MAX_CHARACTERS))
    spaced = pc.replace_substring_regex(pc.replace_substring_regex(plain, _UNSPACED, r" \1 "), _NO_WORD, " ")
    listed = pc.split_pattern(pc.utf8_trim_whitespace(spaced), " ")
    tokens = listed.flatten()
    row = np.asarray(pc.list_parent_indices(listed), np.int64)
    long = np.flatnonzero(np.asarray(pc.greater(pc.utf8_length(tokens), _STEM)))
    stems = pc.binary_join_element_wise(pc.utf8_slice_codeunits(tokens.take(pa.array(long)), 0, _STEM), "", "-")
    pair = np.flatnonzero(row[:-1] == row[1:]) if len(row) else np.array([], np.int64)
    pairs = pc.binary_join_element_wise(tokens.take(pa.array(pair)), tokens.take(pa.array(pair + 1)), " ")
    coded = np.flatnonzero(code > 0)
    numbers = pa.array(code[coded]).cast(pa.string())
    classes = pc.binary_join_element_wise(pc.utf8_slice_codeunits(numbers, 0, 1), "xx", "")
    stated = np.flatnonzero(np.asarray(enhanced.is_valid()))
    codes = enhanced.take(pa.array(stated))
    columns = (tokens, stems, pairs, numbers, classes, codes, pc.utf8_slice_codeunits(codes, 1))
    words = pa.concat_arrays([column.cast(pa.string()) for column in columns])
    return words, np.concatenate([row, row[long], row[pair], coded, coded, stated, stated])


@cache
def trained() -> Model:
    """The model that ships with the package."""
    with pa.OSFile(str(Path(__file__).with_name(FILE)), "rb") as file:
        table = pa.ipc.open_file(file).read_all()
    facts = table.schema.metadata
    weights = table["weights"].combine_chunks()
    return Model(
        table["feature"].combine_chunks(),
        np.asarray(weights.flatten(), np.int8).reshape(len(table), -1),
        np.frombuffer(facts[b"bias"], "<f4").astype(np.float32),
        float(facts[b"scale"]),
    )


def inputs() -> str:
    """The mark of what the shipped model was trained from; benchmarks/train.py makes it."""
    with pa.OSFile(str(Path(__file__).with_name(FILE)), "rb") as file:
        mark: bytes = pa.ipc.open_file(file).schema.metadata[b"inputs"]
    return mark.decode()


def save(model: Model, path: str, inputs: str) -> None:
    """Writes a model as `trained` reads it, with a mark of what it was trained from."""
    causes = model.weights.shape[1]
    weights = pa.FixedSizeListArray.from_arrays(pa.array(model.weights.reshape(-1), pa.int8()), causes)
    facts = {"bias": model.bias.astype("<f4").tobytes(), "scale": repr(model.scale), "inputs": inputs}
    table = pa.table({"feature": model.features, "weights": weights}).replace_schema_metadata(facts)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
