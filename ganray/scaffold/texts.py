"""A look at the lines of text files, or a Parquet column of texts, and a job for them with the recipe of `jobs/city-names.yaml`, or of
`jobs/sentences.yaml` where they are long.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ganray.config import LinesSource, ParquetSource
from ganray.config.modalities.text import TextModality, TokenKind
from ganray.data.sources.lines import Piece, list_lines, read_piece
from ganray.data.sources.rows import UNLABELLED, list_files, source_errors
from ganray.errors import DataError
from ganray.modalities.text import TextCodec, TextFitting, TextSummary
from ganray.scaffold.columns import label_columns, may_be_classes, opened
from ganray.scaffold.draft import Classes, Draft, Entry, Machine, run_entries, shipped
from ganray.storage import ObjectStore

JOBS = {"characters": "city-names.yaml", "words": "sentences.yaml"}  # by what tokens are
SENTENCE = 40  # bytes of a text, from which it is a sentence if it has spaces, too
MAX_TRIED = 20_000  # sentences by which is found how many have rare words
MAX_TEXTS = 200_000  # that are looked at, the first ones
MIN_BAD_FRACTION = 0.01  # as in the job
TEXTS = ("text", "texts", "sentence", "line", "name", "title")  # names of columns of texts, the likelier, the earlier
SURE = TEXTS[:3]  # those beside which any column may be one of classes
Batch = tuple[list[bytes | None], list[Any]]  # texts, and their classes


def draft_lines(path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the lines of a .txt file, or of a folder of some. Raises `DataError` if there are none."""
    source = LinesSource(path=path)
    with source_errors():
        found = list_files(path, store, suffix=".txt")
    list_lines(source, found)  # refuses what is no text
    pieces = [Piece(info.key, 0, info.size, UNLABELLED) for info in found.infos if info.size]
    batches: Iterator[Batch] = ((table["data"].to_pylist(), []) for piece in pieces for table in read_piece(found.store, piece))
    notes = [f"the {len(pieces)} files are one source; `labels: files` makes each a class"] if len(pieces) > 1 else []
    return _draft(batches, {"kind": "lines", "path": path}, machine, name=name, storage=storage, notes=notes)


def draft_text_column(source: ParquetSource, store: ObjectStore, machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for a column of texts in Parquet files. Raises `DataError` if there are none."""
    found = list_files(source.path, store, suffix=".parquet")
    columns = [source.column, *([source.label_column] if source.label_column else [])]

    def batches() -> Iterator[Batch]:
        for info in found.infos:
            with opened(found.store, info.key) as parquet:
                for batch in parquet.iter_batches(4096, columns=columns):
                    texts = [None if value is None else value.encode() for value in batch.column(source.column).to_pylist()]
                    yield texts, batch.column(source.label_column).to_pylist() if source.label_column else []

    return _draft(batches(), source.model_dump(exclude_unset=True) | {"kind": "parquet"}, machine, name=name, storage=storage, notes=[])


def _draft(batches: Iterator[Batch], source: dict[str, Any], machine: Machine, *, name: str, storage: str, notes: list[str]) -> Draft:
    codec, summaries, classes, is_whole, tried = _look(batches, source["path"])
    count = sum(sum(summary.lengths.values()) for summary in summaries)
    known = f"{count:,} texts" if is_whole else f"the first {count:,} texts"
    entries = [
        *run_entries(machine, name, storage),
        Entry("data.source", source, known),
        Entry("data.modality", _modality(codec), f"up to {codec.length} {codec.tokens}, as 99.9% of them have"),
        _rare_words(codec, tried) if codec.tokens == "words" else _bad_fraction(codec, summaries, count),
        *shipped(JOBS[codec.tokens], _replaced(classes)),
        Entry("publish.model", name),
    ]
    facts = {
        "texts": known,
        "longest": f"{max(max(summary.lengths, default=0) for summary in summaries):,} {codec.tokens}",
        f"{codec.tokens} that differ": len(codec.vocabulary),
        "unreadable": sum(summary.num_unreadable for summary in summaries),
        "classes": classes.summary("text"),
    }
    return Draft(entries, facts, known, notes)


def _modality(codec: TextCodec) -> dict[str, Any]:
    return {"kind": "text"} if codec.tokens == "characters" else {"kind": "text", "tokens": codec.tokens}


def _look(batches: Iterator[Batch], path: str) -> tuple[TextCodec, list[TextSummary], Classes, bool, list[bytes]]:
    """Return what is found in the first texts of a source, whether those are all, and some of them."""
    summaries, labels, tried, count = list[TextSummary](), list[Any](), list[bytes](), 0
    fitting, is_whole = None, True
    for texts, classes in batches:
        readable = [text for text in texts if text is not None]
        fitting = fitting or TextFitting(TextModality(tokens=_tokens(readable)))
        summaries.append(fitting.observe(pa.array(readable, pa.binary())))
        tried += readable[: MAX_TRIED - len(tried)]
        labels += classes
        if (count := count + len(texts)) >= MAX_TEXTS:
            is_whole = False
            break
    if fitting is None or not any(summary.lengths for summary in summaries):
        raise DataError("PATH", f"there are no texts in {path}", "name a file of lines of text in UTF-8")
    known = [str(label) for label in labels if label is not None]
    return fitting.codec(summaries), summaries, _classes(known, len(labels) - len(known) if known else count), is_whole, tried


def _tokens(texts: list[bytes]) -> TokenKind:
    """Return what texts are taken apart into: words, if most are sentences."""
    sentences = sum(len(text) >= SENTENCE and text.count(b" ") >= len(text) // SENTENCE for text in texts)
    return "words" if sentences > len(texts) / 2 else "characters"


def _rare_words(codec: TextCodec, tried: list[bytes]) -> Entry:
    """Return the fraction of texts that may be left out, of which most have rare words."""
    left_out = sum(sample is None for sample in codec.encode_batch(pa.array(tried, pa.binary())).samples)
    why = f"{left_out:,} of {len(tried):,} have words that are not among the {len(codec.vocabulary):,} most frequent, or are longer"
    return Entry("data.max_bad_fraction", min(round(1.2 * left_out / len(tried) + MIN_BAD_FRACTION, 3), 1.0), why)


def _bad_fraction(codec: TextCodec, summaries: list[TextSummary], count: int) -> Entry:
    """Return the fraction of texts that may be left out: more than the job's where more are too long, or no text."""
    left_out = sum(number for summary in summaries for length, number in summary.lengths.items() if length > codec.length)
    left_out += sum(summary.num_unreadable for summary in summaries)
    why = f"{left_out:,} of {count:,} are longer, or no text" if left_out else "of texts that are longer, or have rare characters"
    return Entry("data.max_bad_fraction", min(max(MIN_BAD_FRACTION, round(2 * left_out / count, 3)), 1.0), why)


def _classes(labels: list[str], unlabelled: int) -> Classes:
    return Classes(dict(Counter(labels)), unlabelled)


def _replaced(classes: Classes) -> dict[str, tuple[Any, str]]:
    return {
        "networks.conditional": classes.conditional("text"),
        "train.total_images": (None, "texts seen, repeats included; more is better"),
        "train.max_seconds": (None, "of training, if that is less; null: no limit"),
    }


def text_source(schema: pa.Schema, path: str) -> ParquetSource | None:
    """Return the source of Parquet files that have a column of texts and, beside it, at most one of classes; None for a table."""
    names = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    texts = sorted((name for name in names if name.lower() in TEXTS), key=lambda name: TEXTS.index(name.lower()))
    others = [name for name in schema.names if name != texts[0]] if texts else []
    labels = [name for name in others if texts[0].lower() in SURE and may_be_classes(schema.field(name).type)] + label_columns(schema)
    if not texts or len(others) > 1 or not set(others) <= set(labels):
        return None
    return ParquetSource(path=path, column=texts[0], label_column=others[0] if others else None)
