"""Prepares a job's first step: reads its rows, loads its model, and creates the run.

Rows are read before torch is imported, so that bad data is reported at once; torch is imported while the
backend still locates the model.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import TRAINING_MESSAGE, TRAINING_RESUMED, TrainingMessage, TrainingResumed
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.settings.conflicts import FROM_BASE, NOT_STREAMED
from arkor_dev.contract.units import format_bytes
from arkor_dev.data.sources import CORPUS, REPLAY, name_of, parts_of, sources_of, weights_of
from arkor_dev.data.text_pairs import DOCUMENTS, SCORE
from arkor_dev.local.checkpoints import origin
from arkor_dev.local.checkpoints.continuation import Continuation
from arkor_dev.local.evaluation.by_length import rows_in
from arkor_dev.local.evaluation.halves import choosing, key_of
from arkor_dev.local.evaluation.scorers import check_scorers
from arkor_dev.local.jobs.job_config import LEFT_OUT
from arkor_dev.local.jobs.job_folder import job_folder, kind_of, parent_folder, scratch_folder
from arkor_dev.local.modeling.classes import Classes, is_classifier
from arkor_dev.local.modeling.gpu_count import CONTEXT, ROOM, enough_gpus, is_unspecified, least_bytes
from arkor_dev.local.workers import resources
from arkor_dev.local.workers.errors import JobFailure

from .earlier_run import check_forgettable, earlier_plan, earlier_runs, record_forgotten, why_from_start
from .job_settings import EffectiveSettings
from .methods import method
from .plan import DRY_ROWS, Plan, asked_format
from .rows.batches import packs
from .rows.datasets import load_rows
from .rows.encoding import Encoding
from .rows.left_out import without
from .rows.split import small_split_warning, split, with_held_out
from .rows.weights import sentence, weighted
from .schedule import default_rate
from .stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import DatasetSource
    from arkor_dev.data.rows import Row
    from arkor_dev.local.checkpoints.resume_points import ResumePlan
    from arkor_dev.local.execution.messages import JobRequest
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.layer_stream import LayerStream
    from arkor_dev.local.modeling.number_format import DtypeChoice
    from arkor_dev.local.models.catalog import Model

    from .distributed.process_group import ProcessGroup
    from .earlier_run import EarlierRun
    from .replay.rows import Replay
    from .run import TrainingLoop
    from .run_events import RunEvents

SHOWN_BAD_ROWS: Final = 5
MOST_DOCUMENTS: Final = 100_000
"""Maximum number of documents of a corpus."""
DOCUMENTS_AT_ONCE: Final = 1000
ALONE: Final = (
    "workers applies to clusters and to several GPUs: here one process trains on the same batches, with the "
    "same losses"
)
FORMATS: Final = ("float32", "bfloat16", "float16")


class RunPreparation:
    """Everything before the first step, in stages, which an estimate also runs.

    ``emit`` sends events, ``progress`` reports a stage's progress. A resumed job does not repeat reports of
    its first start.
    """

    def __init__(self, job: JobRequest, emit: RunEvents, progress: Callable[..., None]) -> None:
        self.job_id, self.config, self.data = job.id, job.config, Path(job.data)
        self._device, self._streams = job.device, job.streams
        self.project, self._rank = Path(job.project), job.group.rank if job.group else 0
        self._alone = job.group is None
        self.emit, self.progress = emit, progress
        self.settings, self.parameters = EffectiveSettings(self.config), 0
        self.method = method(self.settings.get("method"))
        self.method.check(self.settings)
        if job.evaluate is None:  # later, a set that cannot be scored is only left out
            check_scorers(self.settings.evaluations, self.project)
        # A later evaluation on a file of the project is not compared with the training rows.
        self._on_file = job.evaluate is not None and job.evaluate.data is not None
        self._judged = job.evaluate
        self.continuation = Continuation(job)
        if restart_reason := self.continuation.restart_reason:
            self.emit(TrainingResumed(type=TRAINING_RESUMED, step=0, message=restart_reason))
            for sentence in self.continuation.passed:
                self.emit(TrainingMessage(type=TRAINING_MESSAGE, message=sentence))

    def say(self, message: str) -> None:
        """Send a sentence for the log, unless the job sent it before it was resumed."""
        if not self.continuation.points:
            self.emit(TrainingMessage(type=TRAINING_MESSAGE, message=message))

    def read(self) -> None:
        """Read the rows and plan the run: ``train_rows``, ``eval_rows`` with ``eval_groups``, ``plan``.

        ``split`` describes how rows were held out, ``chooses`` says of each held-out row whether it chooses
        (see ``evaluation.halves``). ``classes`` are those of a classifier, else None.
        """
        scratch = scratch_folder(self.data, self.job_id)
        if self._rank:  # on one machine, the workers would download into the same folder
            scratch /= f"worker-{self._rank}"
        limit = DRY_ROWS if self.settings.get("dryRun") else None

        forms = self.method.record.forms
        bad: list[str] | None = [] if self.settings.get("skipBadRows") else None

        def rows_of(source: DatasetSource, folder: Path) -> list[Row]:
            return load_rows(source, self.project, folder, self.progress, forms, limit, bad)

        rows, held_out = rows_of(self.config["datasetSource"], scratch), self.config.get("evalDatasetSource")
        if held_out is None:
            parts = split(rows, self.settings)
        else:
            self.settings.resolve("datasetSplit", 0)
            evaluates = self.settings.get("evalSteps") != 0
            own = rows_of(held_out, scratch / "eval") if evaluates else []
            parts = with_held_out(rows, own, compare=not self._on_file)
        self.train_rows, self.eval_rows = self._mixed(parts.train, limit), parts.held_out
        self.eval_groups, self.split = parts.groups, parts.facts
        self.method.check_rows([*self.train_rows, *self.eval_rows], self.settings)
        judged = Path(self._judged.folder) if self._judged else None
        if judged and is_classifier(judged):
            self.classes: Classes | None = Classes.read(judged)
        else:
            self.classes = self.method.classes(self.train_rows, self.eval_rows, self.settings)
        self.chooses = choosing([key_of(row) for row in self.eval_rows], self.eval_groups)
        self.replay_rows = self._read_replayed(limit, bad)
        self.corpus_rows = self._read_corpus(limit, bad)
        stops_early = bool(self.settings.get("earlyStoppingPatience"))
        if self.split["sentence"]:
            self.say(self.split["sentence"])
        elif (
            limit is None
            and not self._judged
            and self.settings.get("evalSteps") != 0
            and (warning := small_split_warning(self.split["groups"], stops_early=stops_early))
        ):
            self.say(warning)
        if bad:
            first = "\n".join(bad[:SHOWN_BAD_ROWS])
            more = f"\nand {len(bad) - SHOWN_BAD_ROWS:,} more" if len(bad) > SHOWN_BAD_ROWS else ""
            count = "1 row was" if len(bad) == 1 else f"{len(bad):,} rows were"
            self.say(f"{count} left out: {first}{more}")
        self._counts = len(self.train_rows), len(self.eval_rows)
        self.plan = self._plan(*self._counts)

    def _mixed(self, rows: list[Row], limit: int | None) -> list[Row]:
        """Return training rows by the weights of their sources; those of a dry run as they are."""
        source = self.config["datasetSource"]
        weights = weights_of(source)
        if limit is not None or set(weights) == {1}:
            return rows
        mixed = weighted(rows, weights, self.settings.get("seed"))
        self.say(sentence(rows, mixed, [name_of(part) for part in parts_of(source)]))
        return mixed

    def _read_replayed(self, limit: int | None, bad: list[str] | None) -> list[Row]:
        """Return the rows of the job's replay data set, except those that the verdict measures.

        Raises :class:`JobFailure` for bad rows, and if none is left.
        """
        from .replay.prompts import FORMS, without_near_duplicates

        source = dict(sources_of(self.config)).get(REPLAY)
        if source is None or self._judged:
            return []
        scratch = scratch_folder(self.data, self.job_id)
        rows = load_rows(source, self.project, scratch, self.progress, FORMS, limit, bad)
        unseen = without_near_duplicates(rows, self.eval_rows)
        if not unseen:
            raise JobFailure(
                f"{self.config[REPLAY]}: the verdict measures all of its rows, or near duplicates of them. "
                "Add other prompts to the replay data set, or remove replay_dataset"
            )
        if count := len(rows) - len(unseen):
            self.say(
                f"{'1 row' if count == 1 else f'{count:,} rows'} of the replay data set left out, because "
                "the verdict measures the same question or a near duplicate"
            )
        return unseen

    def _read_corpus(self, limit: int | None, bad: list[str] | None) -> list[Row]:
        """Return the documents that held-out anchors search besides their own.

        Raises :class:`JobFailure` for bad rows, for more than `MOST_DOCUMENTS`, and for rows with scores.
        """
        source = dict(sources_of(self.config)).get(CORPUS)
        if source is None:
            return []
        if not self.eval_rows:
            self.say("No row is held out, so nothing searches the corpus")
            return []
        name = self.config[CORPUS]
        if any(SCORE in row.extra for row in self.eval_rows):
            raise JobFailure(
                "corpus has documents for anchors to search, and rows with scores are compared in pairs: "
                "remove corpus"
            )
        scratch = scratch_folder(self.data, self.job_id)
        most = limit or MOST_DOCUMENTS + 1
        rows = load_rows(source, self.project, scratch, self.progress, DOCUMENTS, most, bad)
        if len(rows) > MOST_DOCUMENTS:
            raise JobFailure(
                f"corpus: {name} has more than {MOST_DOCUMENTS:,} documents, which is the most that are "
                "searched, as both models embed each: keep some of them"
            )
        return rows

    def _plan(self, units: int, eval_rows: int, packed_to: int = 0) -> Plan:
        restart = self.continuation.options.get("restart", 0)
        return Plan.of(self.settings, units, eval_rows, packed_to, restart, self.parameters)

    def load(self, model: Model) -> None:
        """Load the ``model`` located by the backend as ``base``; determine its context limit ``longest``."""
        # Everything is read from local folders from here on: no library may contact the Hub.
        os.environ["HF_HUB_OFFLINE"] = "1"
        from arkor_dev.local.modeling.template_syntax import check_template

        if any(row.text is None for row in self.train_rows):  # plain text does not use the template
            check_template(model.path)
        import torch

        from arkor_dev.local.modeling.base_model import load_base, why_processor
        from arkor_dev.local.modeling.gate import check_trainable, comes_in_4_bit, encoder_in
        from arkor_dev.local.modeling.head import check_base
        from arkor_dev.local.modeling.tokenizer import default_length

        from .run import TrainingLoop  # noqa: F401 - with all its dependencies

        if threads := self.continuation.threads:
            torch.set_num_threads(threads)

        self.path = model.path
        self.name, self.note = self.settings.resolve("model", model.name), model.note
        if self.note:
            self.say(self.note)
        self.continuation.hash_files(self.path, model.second)
        self.progress(f"Loading {self.name}", 0, None, "")
        self.format = asked_format(self.settings)
        encoder = encoder_in(self.path)
        if encoder and not self.method.encoders:
            raise JobFailure(
                f"{self.name} is an encoder ({encoder}), which reads texts and writes none: train it with "
                'method = "embed", "classify" or "rerank", or choose a language model'
            )
        if part := check_trainable(self.path):
            self.say(part)
        if comes_in_4_bit(self.path):
            self._accept_4_bit()
        if encoder and self.classes and self.settings.get("loadIn4bit"):
            raise JobFailure(
                f"The head of an encoder ({encoder}) is learned whole, which quantized weights cannot be: "
                "remove load_in_4bit"
            )
        four_bit, learning = self.settings.get("loadIn4bit"), self.settings.get("fullFineTuning")
        gpus = self._gpus()
        load = partial(
            load_base,
            self.path,
            four_bit,
            self.format,
            learning,
            as_stored=True,
            gpus=gpus,
            headed=self.classes is not None,
        )
        self.base = load(mapped=self._maps())
        not_moved = self.base.stream and self.base.device != "cpu"
        if not_moved and not self.can_stream and self.settings.get("offload") != "layers":
            self.base = load()  # onto the GPU after all
        if gpus > 1:
            self._say_gpus(gpus)
            self.settings.resolve("gpus", self.base.gpus)
        self._set_up_template()
        if self.classes:
            check_base(self.base.model, self.name, self.classes)
        self._load_second(model.second)
        if why := why_processor():
            self.say(why)
        if self.settings.get("activationOffloading") and self.base.device != "cuda":
            self.say("activation_offloading changes nothing here: only a GPU with memory of its own needs it")
        self.parameters = self.base.model.num_parameters()
        self.plan = self._plan(*self._counts)  # for an estimate, only some rows have been read
        self._say_rate()
        length = self.settings.get("maxLength", default_length(self.base.device))
        self.longest = self.settings.resolve("maxLength", min(length, self.base.context))
        resources.reset_peak_memory()

    def _not_streamed(self) -> str | None:
        """Return why the settings do not allow streaming the layers' weights; None if they do."""
        for field, why in NOT_STREAMED.items():
            if self.settings.get(field):
                return f"{by_field()[field].key} {why}"
        if self.settings.get("initLoraWeights") in FROM_BASE:
            return "lora.init_lora_weights changes them"
        if self.config.get("gradientCheckpointing") is False and self.settings.get("activationOffloading"):
            return "activation_offloading does not move what gradient_checkpointing = false keeps"
        return None

    def _maps(self) -> bool:
        """Return whether the model's files are mapped, so that layers can be streamed.

        On a CPU that costs nothing. A GPU gets the whole model, unless its weights alone are too large. (A
        model for several GPUs is spread over them, not mapped.)
        """
        import torch

        from arkor_dev.local.modeling.base_model import pick_device

        offload = self.settings.get("offload")
        if offload == "none" or self._not_streamed():
            return False
        if offload == "layers" or self._streams or pick_device()[0] != "cuda":
            return True
        config = {**self.config, "loadIn4bit": self.settings.get("loadIn4bit")}
        free: int = torch.cuda.mem_get_info()[0]
        return least_bytes(self.path, config) > free

    @property
    def can_stream(self) -> bool:
        """Whether the layers' weights can be streamed, and the settings leave that open or request it."""
        return bool(
            self.settings.get("offload") != "none"
            and not self._not_streamed()
            and self.base.stream
            and not self._unsuited(self.base.stream)
        )

    @property
    def may_keep_activations(self) -> bool:
        """Whether streamed layers recompute only those activations for which there is no memory."""
        return (
            self.config.get("gradientCheckpointing") is None
            and not self.settings.get("activationOffloading")
            and self._alone
        )

    def _unsuited(self, stream: LayerStream) -> str | None:
        """Return why the model's layers cannot be streamed for this job; None if they can."""
        for name in self.plan.adapter.saved if self.plan.adapter else ():
            if stream.has_part(self.base.model, name):
                return f"lora.modules_to_save trains {name}"
        return stream.unsuited

    def _stream(self, itemsize: int) -> None:
        """Decide whether layers are streamed, for weights that take ``itemsize`` bytes each in memory.

        Raises :class:`JobFailure` if the job requests that and it is impossible.
        """
        from arkor_dev.local.workers.machine import memory

        wanted, stream = self.settings.get("offload"), self.base.stream
        device = self.base.device
        unmapped = "its weights cannot be used as stored"
        if device == "mps":
            unmapped = f"it computes on {device}"
        elif self.base.gpus > 1:
            unmapped = f"it is spread over {self.base.gpus} GPUs"
        why_not = self._not_streamed() or (self._unsuited(stream) if stream else unmapped)
        if wanted == "layers" and why_not:
            raise JobFailure(
                f"The layers of {self.name} cannot be streamed from their files: {why_not}. Remove offload"
            )
        needed, free = round(ROOM * itemsize * self.parameters), memory().free
        # A model for a GPU has been mapped only if it does not fit there.
        short = device != "cpu" or (free is not None and needed > free)
        streams = wanted == "layers" or (wanted == "auto" and not why_not and (self._streams or short))
        self.settings.resolve("offload", "layers" if streams else "none")
        if streams and stream:
            recomputes = self.settings.resolve(
                "gradientCheckpointing", self.config.get("gradientCheckpointing") is not False
            )
            self.plan = replace(
                self.plan,
                streams=True,
                gradient_checkpointing=recomputes,
                selective_checkpointing=self.may_keep_activations,
            )
            why = "" if wanted == "layers" else ", because the job does not fit into memory otherwise"
            self.say(
                f"The layers are quantized once, and copied from main memory as they are used{why}"
                if stream.four_bit
                else f"The weights of the layers ({format_bytes(stream.bytes)}) are read from their files as "
                f"they are used{why}"
            )

    def _load_second(self, path: Path | None) -> None:
        """Load the model that the method needs besides the one that learns, if any, as ``second``.

        An adapter becomes ``second_adapter`` instead, which needs no further model. ``more_models`` has the
        folder by the setting's name. Raises :class:`JobFailure` if it cannot be used with the base, or takes
        more memory than is free.
        """
        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.modeling.second_model import check_room, check_vocabulary

        self.second: Base | None = None
        self.second_adapter: Path | None = None
        self.more_models: dict[str, Path] = {}
        if path is None:
            return
        setting = self.method.record.second_model
        name = self.settings.get(setting)
        self.more_models[setting] = path
        if kind_of(path) == "adapter":
            if self.settings.get("fullFineTuning") or self.settings.get("initLoraWeights") in FROM_BASE:
                raise JobFailure(
                    f"This training changes the base model's weights, so the adapter of {name} cannot be its "
                    "teacher: merge it, and name the folder"
                )
            self.continuation.depends_on()  # the base's files are hashed, and their hashes cached
            four_bit = bool(self.settings.get("loadIn4bit"))
            origin.check_trained_on(name, path, self.path, four_bit, origin.FileHashes(self.data))
            self.second_adapter = path
            return
        check_vocabulary(name, path, self.base)
        check_room(name, path, self.base)
        self.progress(f"Loading {name}", 0, None, "")
        self.second = load_base(path, self.settings.get("loadIn4bit"), self.format, as_stored=True)

    def _gpus(self) -> int:
        """Return the number of GPUs over which the model is spread. Raises JobFailure beside several
        workers.

        If the settings leave it open, a job is spread over the GPUs that the scheduler gave it. An estimate
        has no such GPUs: its model is spread if one of all is too small for its weights.
        """
        if is_unspecified(self.config):
            if device := self._device:
                return device.count(",") + 1
            return self._enough_gpus()
        gpus = self.settings.get("gpus") or 1
        if gpus > 1 and (self.settings.get("workers") or 1) > 1:
            raise JobFailure(
                "gpus spreads one model over several GPUs, and workers loads it on each of them: set only "
                "one of both"
            )
        return gpus

    def _enough_gpus(self) -> int:
        """Return the smallest number of this machine's GPUs that hold the weights; 1 if all do not."""
        import torch

        if not torch.cuda.is_available():
            return 1
        sizes = [torch.cuda.mem_get_info(gpu)[1] - CONTEXT for gpu in range(torch.cuda.device_count())]
        config = {**self.config, "loadIn4bit": self.settings.get("loadIn4bit")}
        return enough_gpus(least_bytes(self.path, config), sizes)

    def _say_gpus(self, requested: int) -> None:
        """Report over how many GPUs the model is spread."""
        if self.base.gpus > 1:
            why = ", because one is too small; gpus = 1 forbids that" if is_unspecified(self.config) else ""
            self.say(f"The layers of {self.name} are spread over {self.base.gpus} GPUs{why}")
        if self.base.gpus < requested:
            actual = "one GPU" if self.base.device == "cuda" else "no GPU that PyTorch can use"
            actual = f"{self.base.gpus} GPUs" if self.base.gpus > 1 else actual
            self.say(f"gpus is {requested}, and this job has {actual}")

    def _accept_4_bit(self) -> None:
        """Treat a model stored in 4 bits as if loadIn4bit were set. Raises JobFailure if forbidden."""
        for field, refused in (("fullFineTuning", (True,)), ("initLoraWeights", FROM_BASE)):
            if self.config.get(field) in refused:
                raise JobFailure(
                    f"{field} needs unquantized weights, and those of {self.name} come in 4 bit: remove "
                    f"{field}, or choose the repository with the full weights"
                )
        self.settings.override("loadIn4bit", True)

    def _set_up_template(self) -> None:
        """Pass the job's template arguments to the tokenizer's chat template."""
        from arkor_dev.local.modeling.chat_template import ARGUMENTS, template_arguments, with_arguments

        arguments = template_arguments({field: self.settings.get(field) for field in ARGUMENTS.values()})
        for name in arguments:
            if name not in str(self.base.tokenizer.chat_template):
                self.say(f"The chat template of {self.name} has no {name}, so setting it changes nothing")
        self.base.tokenizer = with_arguments(self.base.tokenizer, arguments)

    def _say_rate(self) -> None:
        """Report the default learning rate and the reason for it."""
        if self.config.get("learningRate") is None:
            optimizer, full = self.plan.optimizer, self.plan.adapter is None
            reason = default_rate(self.parameters, full=full, optimizer=optimizer.kind).reason
            self.say(f"Learning rate {optimizer.rate:g}: {reason}")

    def encode(self) -> None:
        """Encode the rows as the examples ``train`` and ``held_out``; count the truncated rows in ``cut``."""
        encoding = Encoding.of(self.settings, self.longest, self.classes)
        total = len(self.train_rows) + len(self.eval_rows)

        def encoded(part: list[Row]) -> tuple[list[Example], int]:
            return self.method.encode_all(self.base.tokenizer, part, encoding, progress)

        def progress(done: int) -> None:
            self.progress("Reading the data set", done, total, "rows")

        self.train, cut = encoded(self.train_rows)
        self.held_out, cut_held = encoded(self.eval_rows)
        eval_rows = rows_in(self.held_out)
        if self.settings.get("packing"):
            self.plan = self._plan(len(packs(self.train, self.longest)), eval_rows, self.longest)
        elif len(self.train) > len(self.train_rows):
            self.plan = self._plan(len(self.train), eval_rows)
        self.cut = cut + cut_held
        self.corpus = self._encode_corpus(encoding)
        self._earlier: list[EarlierRun] = []
        # A later evaluation trains on nothing, and the rows may have been deleted from the files since.
        if (left_out := self.config.get(LEFT_OUT)) and not self._judged:
            whole, self.train = self.train, without(left_out, self.train, self.held_out)
            if forgets := self.config.get("forgets"):
                check_forgettable(left_out["rows"], self.train_rows, self.eval_rows, self.replay_rows)
                self._earlier = earlier_runs(forgets, left_out["rows"], whole, self.held_out, self.plan)
            count = "1 row has" if len(left_out["rows"]) == 1 else f"{len(left_out['rows'])} rows have"
            self.say(f"{count} weight 0; everything else is as in the job that this one repeats")
        self.replay = self._replay()
        more = len(self.train) + len(self.held_out) - total
        if more and not self.method.record.preference:
            self.say(
                f"The chat template rewrites earlier turns: {total:,} rows are learned as {total + more:,} "
                "examples, each answer after the text that precedes it in a chat"
            )
        if self.cut:
            self.say(
                f"{self.cut} of {total} rows {'is' if self.cut == 1 else 'are'} longer than max_length "
                f"{self.longest} and {'was' if self.cut == 1 else 'were'} truncated"
            )

    def _encode_corpus(self, encoding: Encoding) -> list[Example]:
        """Return the documents of the corpus, encoded; say how many were truncated."""
        documents: list[Example] = []
        cut, total = 0, len(self.corpus_rows)
        for start in range(0, total, DOCUMENTS_AT_ONCE):  # else the same texts as anchors are in memory, too
            self.progress("Reading the corpus", start, total, "documents")
            part = self.corpus_rows[start : start + DOCUMENTS_AT_ONCE]
            examples, cut_here = self.method.encode_all(self.base.tokenizer, part, encoding, lambda _: None)
            documents += [example.others[0] for example in examples]
            cut += cut_here
        if cut:
            self.say(
                f"{cut:,} of {total:,} documents of the corpus {'is' if cut == 1 else 'are'} longer than "
                f"max_length {self.longest} and {'was' if cut == 1 else 'were'} truncated"
            )
        return documents

    def _replay(self) -> Replay | None:
        """Return the rows to replay; None if the job replays none."""
        from .replay.rows import Replay

        own, encoding = self.replay_rows, Encoding.of(self.settings, self.longest)
        if replay := Replay.of(self.plan, self.base, own, encoding):
            to_answer, answered = len(replay.to_answer), len(replay.answered_rows)
            parts = [
                f"{answered} {'answer is' if answered == 1 else 'answers are'} given" if answered else "",
                f"the base model answers {to_answer} general prompts, before the steps that need them"
                if to_answer
                else "",
            ]
            self.say(
                f"{'Replay' if replay.learned else 'KL from the base'}: {' and '.join(filter(None, parts))}; "
                f"they are {replay.share:.0%} of the rows of each step"
            )
        return replay

    def make_run(
        self,
        stop: Stop | None = None,
        step_done: Callable[[int], None] = lambda _: None,
        group: ProcessGroup | None = None,
    ) -> TrainingLoop:
        """Create the loop in the best dtype for this processor; a ``group`` uses rank 0's."""
        import torch

        from arkor_dev.local.cards.writer import CardWriter
        from arkor_dev.local.modeling.number_format import choose

        from .run import ModelSource, Saving, TrainingLoop

        if not group and (self.settings.get("workers") or 1) > 1:
            self.settings.resolve("workers", 1)
            self.say(ALONE)
        tokens = self.plan.batch_size * sum(example.tokens for example in self.train) // len(self.train)
        base, format_cache = self.base, self.data / "number-formats.json"
        choice = self._earlier_choice() or choose(
            base.model, base.device, base.dtype, tokens, self.format, format_cache
        )
        make: Callable[..., TrainingLoop] = TrainingLoop
        if group:
            from .distributed.run import DistributedRun, agree_on_format

            requested = self.settings.get("workers")
            if self.settings.resolve("workers", group.count) != requested:
                self.say(
                    f"This machine has {group.count} GPUs: as many workers share each batch, not {requested}"
                )
            choice, make = agree_on_format(group, choice, self.train), partial(DistributedRun, group=group)
            self.continuation.origin["workers"] = group.count
        self.settings.resolve("numberFormat", choice.name)
        self._stream(choice.dtype.itemsize)
        self.say(f"Computing in {choice.name}, trained weights in float32: {choice.reason}")
        self.continuation.origin |= {
            **origin.machine(base.device, torch.get_num_threads()),
            "rows": origin.hash_of_rows(self.train, self.held_out),
            "format": choice.name,
            "formatReason": choice.reason,
        }
        run = make(
            method=self.method,
            base=base,
            source=ModelSource(self.name, self.note, self.settings.get("loadIn4bit")),
            plan=self.plan,
            train=self.train,
            held_out=self.held_out,
            data=self.data,
            job_id=self.job_id,
            seed=self.settings.get("seed"),
            settings=self.settings.used,
            emit=self.emit,
            stop=stop or Stop(),
            choice=choice,
            saving=Saving(self.continuation.depends_on, step_done),
            resume_plan=self.continuation.resume_plan() or (self._from_earlier() if stop else None),
            project=self.project,
            sets=self.settings.evaluations,
            replay=self.replay,
            second=self.second,
            second_adapter=self.second_adapter,
            classes=self.classes,
            chooses=self.chooses,
            parent=parent if (parent := parent_folder(self.data, self.job_id)).is_dir() else None,
        )
        run.saving.describe_files = CardWriter(self, run)
        return run

    def _from_earlier(self) -> ResumePlan | None:
        """Return the plan to continue another job's run, if this one deletes rows from that adapter."""
        if not self._earlier:
            return None
        start = why_from_start(self.settings) or earlier_plan(
            self.data, self._earlier, self.continuation.depends_on()
        )
        if not self._rank:
            rows = [*self.train_rows, *self.eval_rows]
            folder = job_folder(self.data, self.job_id)
            record_forgotten(folder, rows, self.config[LEFT_OUT]["rows"], self._earlier, self.plan, start)
        if isinstance(start, str):
            self.say(start)
            return None
        return start

    def _earlier_choice(self) -> DtypeChoice | None:
        """Return the dtype that a resumed job chose when it started on a CPU."""
        import torch

        from arkor_dev.local.modeling.number_format import DtypeChoice

        before = self.continuation.before
        name, reason = before.get("format"), before.get("formatReason")
        if self.base.device != "cpu" or name not in FORMATS:
            return None
        return DtypeChoice(getattr(torch, name), str(reason))
