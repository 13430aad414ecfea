"""Generates files from the contract: the page's types and settings, and the references in docs/.

``web/src/contract.gen.ts`` and ``docs/events.md`` come from the shapes and events of ``arkor_dev/contract``,
which are parsed, not imported: type annotations stay as written and in order, and the result does not depend
on the Python that runs this. Settings with their help and form data (``web/src/help.gen.ts`` and
``form.gen.ts``, separate because the first load does not need them) and ``docs/settings.md`` come from
``arkor_dev/contract/settings/``. ``man/arkor-dev.1`` comes from the table of commands (``man_page.py``), and
``docs/llms.txt``, the contents of the documentation for language models, from the navigation in
``zensical.toml``. The synchronous Python API comes from the asynchronous one, and the types of its settings
from theirs (``python_api.py``). ``arkor_dev/contract/extras_table.py`` has the extras of ``pyproject.toml``,
for machines that have the package's code without its metadata, and ``export_formats.py`` the names of the
local backend's export formats.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from man_page import man_page  # noqa: E402
from python_api import job_settings, setting_types, synchronous  # noqa: E402

from arkor_dev.contract import settings  # noqa: E402
from arkor_dev.contract.changes import ONE_OF  # noqa: E402
from arkor_dev.contract.settings.conflicts import CONFLICTS, Conflict, conflicts  # noqa: E402
from arkor_dev.contract.settings.setting import EVERYWHERE, GROUPS  # noqa: E402
from arkor_dev.contract.sweep_space import FIXED  # noqa: E402
from arkor_dev.local.exports.formats import FORMATS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from arkor_dev.contract.rules import Rule
    from arkor_dev.contract.settings.setting import Setting

SHAPES = (
    "shapes",
    "events",
    "dataset_shapes",
    "making_shapes",
    "deployments",
    "attribution",
    "forget",
    "placement",
)
MODULES = [ROOT / "arkor_dev" / "contract" / f"{name}.py" for name in SHAPES]
PAGE = ROOT / "web" / "src"
TYPES = PAGE / "contract.gen.ts"
FORM = PAGE / "form.gen.ts"
HELP = PAGE / "help.gen.ts"
SWEEP = PAGE / "sweep.gen.ts"
REFERENCE = ROOT / "docs" / "settings.md"
EVENTS = ROOT / "docs" / "events.md"
MAN = ROOT / "man" / "arkor-dev.1"
DOCS = ROOT / "docs"
LLMS = DOCS / "llms.txt"
SDK = ROOT / "arkor_dev" / "sdk"
EXTRAS = ROOT / "arkor_dev" / "contract" / "extras_table.py"
EXPORT_FORMATS = ROOT / "arkor_dev" / "contract" / "export_formats.py"

SETTINGS_EXAMPLE = """\
[[trainer]]
name = "support-bot"
model = "smollm2-135m-instruct"
dataset = { path = "data/chats.jsonl", only = "accepted" }
epochs = 2
learning_rate = 5e-4
replay = 0.2
eval_split = 0.1
save_every = 20

[trainer.lora]
r = 16
target_modules = "all-linear"
"""
EVENTS_EXAMPLE = """\
id: 7
event: training.log
data: {"type": "training.log", "jobId": "4f0c2a91", "timestamp": "2026-11-29T12:00:07Z", "step": 10, "loss": 2.31}

id: 8
event: checkpoint.saved
data: {"type": "checkpoint.saved", "jobId": "4f0c2a91", "timestamp": "2026-11-29T12:00:09Z", "step": 10}

"""  # noqa: E501
SCALARS = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "object": "unknown",
    "None": "null",
}
KINDS = {"whole": "number", "number": "number", "flag": "boolean", "choice": "string", "text": "string"}
VALUE = "string | number | boolean | readonly (string | number)[]"
NOTE = "// Generated from arkor_dev/contract by scripts/generate.py. Not edited by hand.\n"
PROBED = ROOT / "web" / "fixtures" / "settings.json"
NUMBERS = (0, 1, -1, 2, 7, 0.5, 1e-9, 1e300, True, False)
TEXTS = ("", " ", "x", " x ", "1", "true", "a\tb", "a\nb", "\u00a0", "\u202e", "\u200b", "\x7f", "\ue000")
PROBES: tuple[object, ...] = (
    *NUMBERS,
    *TEXTS,
    "\u2028",
    "\u3000x",
    "\xad",
    "é",
    [],
    ["x"],
    [1],
    {},
    {"x": 1},
)
CONFIG = "JobConfig"
"""The shape that has every setting as a field, beside its own."""


def shapes() -> str:
    """The source files that are parsed."""
    return "".join(module.read_text(encoding="utf-8") for module in MODULES)


def page_words() -> set[str]:
    """Return all words of the page's source, among them the names of the shapes that it uses."""
    sources = [path for path in PAGE.rglob("*.ts*") if ".gen." not in path.name]
    return {word for path in sources for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}


def types(source: str, names: set[str]) -> str:
    """Return the TypeScript of the settings, and of those shapes in ``names`` with all that they contain.

    Raises ValueError for an unknown type.
    """
    parts = {}
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name, bases=[ast.Name(id=base), *_]):
                parts[name] = _interface(node, base)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                parts[name] = f"export type {name} = {_type(value)};\n"
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() as text)):
                parts[name] = f"export const {name} = {_quoted(text)};\n"
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(args=[ast.Set(elts=items)])):
                words = sorted(str(ast.literal_eval(item)) for item in items)
                listed = ", ".join(_quoted(word) for word in words)
                parts[name] = f"export const {name}: ReadonlySet<string> = new Set([{listed}]);\n"
    used: set[str] = set()
    while new := parts.keys() & names - used:
        used |= new
        names = {word for name in new for word in re.findall(r"\w+", parts[name])}
    return "\n".join([NOTE, *(part for name, part in parts.items() if name in used), _settings()])


def _interface(node: ast.ClassDef, base: str) -> str:
    extends = "" if base in ("TypedDict", "JobSettings") else f" extends {base}"
    lines = [f"/** {_summary(node)} */", f"export interface {node.name}{extends} {{"]
    own = set()
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        own.add(item.target.id)
        hint, mark = item.annotation, ""
        match hint:
            case ast.Subscript(value=ast.Name(id="NotRequired"), slice=inner):
                hint, mark = inner, "?"
        lines.append(f"  {item.target.id}{mark}: {_type(hint)};")
    if node.name == CONFIG:
        # help.gen.ts says what each is for.
        lines += [f"  {row.field}?: {_kind(row)};" for row in settings.SETTINGS if row.field not in own]
    return "\n".join([*lines, "}\n"])


def _kind(row: Setting) -> str:
    """Return the type of a setting's value; a list may be written as its only member."""
    if row.rule.of is None:
        return KINDS[row.rule.kind]
    member = KINDS[row.rule.of.kind]
    return f"{member} | {member}[]"


def _summary(node: ast.ClassDef) -> str:
    text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return text.replace("``", "`")


def _type(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return SCALARS.get(name, name)
        case ast.Constant(value=None):
            return "null"
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return f"{_type(left)} | {_type(right)}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=items)):
            return " | ".join(_quoted(str(ast.literal_eval(item))) for item in items)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Constant(value=str() as text)):
            return _quoted(text)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"{_type(inner)}[]" if isinstance(inner, ast.Name) else f"({_type(inner)})[]"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return f"Record<{_type(key)}, {_type(value)}>"
    raise ValueError(f"line {node.lineno}: no TypeScript for {ast.unparse(node)}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _settings() -> str:
    """Return the table as the page shows it."""
    replaying = settings.by_field()["replay"].methods
    styles = sorted({row.style for row in settings.SETTINGS})
    return "\n".join(
        [
            "/** One setting of a trainer, as it is shown. */",
            "export interface Setting {",
            f"  field: {' | '.join(_quoted(row.field) for row in settings.SETTINGS)};",
            "  label: string;",
            f"  style: {' | '.join(map(_quoted, styles))};",
            "}\n",
            "/** In reading order. */",
            "export const SETTINGS: readonly Setting[] = [",
            *(f"  {_record(_shown(row))}," for row in settings.SETTINGS),
            "];\n",
            "/** How often the data is trained on where nobody says how long. */",
            f"export const DEFAULT_EPOCHS = {json.dumps(settings.by_field()['numTrainEpochs'].default)};\n",
            "/** The method of a job that names none, and the methods that can replay general prompts. */",
            f"export const DEFAULT_METHOD = {json.dumps(settings.by_field()['method'].default)};",
            f"export const REPLAYING: readonly string[] = {json.dumps(replaying)};\n",
            "/** Two of which only one can be set: setting either removes the other. */",
            'export const ONE_OF: readonly (readonly [Setting["field"], Setting["field"]])[] = [',
            *(f"  {json.dumps(pair)}," for pair in ONE_OF),
            "];\n",
        ]
    )


def help_texts() -> str:
    """Return the TypeScript with the help of each setting, and which ones few jobs set."""
    seldom = ", ".join(_quoted(row.field) for row in settings.SETTINGS if row.group != "usual")
    texts = (f"  [{_quoted(row.field)}, {_quoted(row.help)}]," for row in settings.SETTINGS)
    return "\n".join(
        [
            NOTE,
            "/** What each setting is for, by its field. */",
            "export const HELP: ReadonlyMap<string, string> = new Map([",
            *texts,
            "]);\n",
            "/** The fields of settings that few jobs set. */",
            f"export const SELDOM: ReadonlySet<string> = new Set([{seldom}]);\n",
        ]
    )


def fixed_in_sweeps() -> str:
    """Return the TypeScript with the settings that no sweep searches."""
    fields = ", ".join(_quoted(row.field) for row in settings.SETTINGS if row.field in FIXED)
    return (
        f"{NOTE}\n/** The fields of settings that all trials of a sweep share. */\n"
        f"export const FIXED: ReadonlySet<string> = new Set([{fields}]);\n"
    )


def form() -> str:
    """Return the TypeScript for a form of all settings, with its checks."""
    kinds = sorted({row.rule.kind for row in settings.SETTINGS})
    adjustable = ", ".join(_quoted(row.field) for row in settings.SETTINGS if row.adjustable)
    return "\n".join(
        [
            NOTE,
            'import { SETTINGS, type Setting } from "./contract.gen";',
            'import { HELP } from "./help.gen";\n',
            f"export type Group = {' | '.join(map(_quoted, GROUPS))};\n",
            "/** The parts of a form, in reading order. */",
            "export const GROUPS: readonly { group: Group; title: string }[] = [",
            *(f"  {_record({'group': group, 'title': title})}," for group, title in GROUPS.items()),
            "];\n",
            "/** The type of a value, for reading it from a text. */",
            "export interface Kind {",
            f"  kind: {' | '.join(map(_quoted, kinds))};",
            "  /** The members of a list; one may stand without a list. */",
            "  of?: Kind;",
            "  /** Members of a list that have none beside them. */",
            "  alone?: readonly string[];",
            "}\n",
            "/** What a form has to know of a setting. */",
            "export interface FormSetting extends Setting, Kind {",
            "  group: Group;",
            "  help: string;",
            "  fits: Check;",
            "  /** What a value must be, in words. */",
            "  allowed: string;",
            "  choices?: readonly string[];",
            "  /** The bounds of a number, where they are not obvious. */",
            "  range?: string;",
            "  unit?: string;",
            "  required?: boolean;",
            "  /** A value, or words where it depends on the job. */",
            f"  default?: {VALUE};",
            "  defaultWords?: string;",
            "  /** Which backends and devices obey it, where that is not all of them. */",
            "  where?: string;",
            "  /** The training methods that have it, where that is not all of them. */",
            "  methods?: readonly string[];",
            "  /** What differs by training method. */",
            "  variants?: Readonly<Record<string, Partial<Omit<FormSetting, keyof Setting>>>>;",
            "}\n",
            CHECKS,
            'const RULES: Readonly<Record<Setting["field"], Omit<FormSetting, keyof Setting | "help">>> = {',
            *(f"  {row.field}: {_record(_rule(row))}," for row in settings.SETTINGS),
            "};\n",
            "export type Config = Readonly<Record<string, unknown>>;\n",
            "/** Whether a setting has an effect: null and its default have none, nor do false, zero and",
            " * empty values, unless its default is none of them. */",
            "function isSet(value: unknown, fallback: unknown): boolean {",
            "  const text = JSON.stringify(value ?? null);",
            '  return Boolean(value || fallback) && !oneOf(text, "null", "[]", JSON.stringify(fallback));',
            "}\n",
            "/** The value of a setting, and its default if it is not set; undefined if it is invalid. */",
            'function valueOf(config: Config, field: Setting["field"]): unknown {',
            "  const value = config[field] ?? null;",
            "  if (value === null) return RULES[field].default ?? null;",
            "  return RULES[field].fits(value) ? value : undefined;",
            "}\n",
            "/** Incompatible settings, by the one to remove. */",
            "export const CONFLICTS: readonly {",
            '  field: Setting["field"];',
            "  text: string;",
            "  arises: (c: Config) => boolean;",
            "}[] = [",
            *(f"  {_record(_conflict(conflict))}," for conflict in CONFLICTS),
            "];\n",
            "/** The fields of settings that can change while a job continues. */",
            f"export const ADJUSTABLE: ReadonlySet<string> = new Set([{adjustable}]);\n",
            "/** Every setting, in reading order. */",
            "export const FORM: readonly FormSetting[] = SETTINGS.map((shown) => ({",
            "  ...shown,",
            '  help: HELP.get(shown.field) ?? "",',
            "  ...RULES[shown.field],",
            "}));\n",
        ]
    )


CHECKS = r"""
type Check = (value: unknown) => boolean;

const oneOf = (value: unknown, ...values: unknown[]): boolean => values.includes(value);
const flag: Check = (value) => typeof value === "boolean";
const choice = (...choices: string[]): Check => (value) => oneOf(value, ...choices);
const number = (low: number, high: number, above = false): Check => (value) =>
  typeof value === "number" && value >= low && value <= high && !(above && value === low);
const whole = (low: number, high: number): Check => (value) =>
  number(low, high)(value) && Number.isInteger(value);
/** One line without characters that Python considers non-printable. */
const text = (low: number, high: number): Check => (value) =>
  typeof value === "string" &&
  !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value) &&
  [...value.trim()].length >= low &&
  [...value].length <= high;
const list = (low: number, high: number, of: Check, alone: unknown[]): Check => (value) => {
  if (!Array.isArray(value)) return of(value);
  if (value.length > 1 && value.some((member) => alone.includes(member))) return false;
  return value.length >= low && value.length <= high && value.every(of);
};
""".lstrip()
"""`Rule.fits` by its kind."""


class _Code(str):
    """TypeScript that stands as it is in a record."""

    __slots__ = ()


def _record(facts: Mapping[str, object]) -> str:
    return f"{{ {', '.join(f'{name}: {_literal(value)}' for name, value in _said(facts).items())} }}"


def _literal(value: object) -> str:
    if isinstance(value, _Code):
        return value
    return _record(value) if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)


def _said(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if value not in (None, "", ())}


def _shown(row: Setting) -> dict[str, object]:
    return {"field": row.field, "label": row.label, "style": row.style}


def _rule(row: Setting) -> dict[str, object]:
    return {
        "group": row.group,
        **_kind_of(row.rule),
        **_check(row.rule),
        "unit": row.unit,
        "required": row.required or None,
        "default": row.default,
        "defaultWords": row.default_words,
        "where": None if row.where == EVERYWHERE else row.where,
        "methods": row.methods,
        "variants": {method: _variant(row.of(method)) for method in row.variants} or None,
    }


def _variant(row: Setting) -> dict[str, object]:
    return _said({**_kind_of(row.rule), **_check(row.rule), "default": row.default, "help": row.help})


def _kind_of(rule: Rule) -> dict[str, object]:
    return {"kind": rule.kind, "of": rule.of and _said(_kind_of(rule.of)), "alone": rule.alone}


def _check(rule: Rule) -> dict[str, object]:
    assert rule.test is None, f"the page cannot know of a test of its own: {rule.words}"
    return {
        "fits": _Code(_fits(rule)),
        "allowed": rule.words,
        "choices": rule.choices,
        "range": _range(rule),
    }


OBVIOUS = 1_000_000
"""A higher bound than this needs no words; neither does it that a count is not negative."""


def _range(rule: Rule) -> str | None:
    if rule.kind not in ("whole", "number"):
        return None
    if rule.high >= OBVIOUS:
        return f"{rule.low:,} or more" if rule.low > 1 else None
    return f"Above {rule.low:,}, up to {rule.high:,}" if rule.above else f"{rule.low:,} to {rule.high:,}"


def _fits(rule: Rule) -> str:
    """Return `Rule.fits` as a TypeScript function: a call of one in `CHECKS`."""
    match rule.kind:
        case "flag":
            return "flag"
        case "choice":
            return f"choice({json.dumps(rule.choices)[1:-1]})"
        case "list" if rule.of:
            return f"list({rule.low}, {rule.high}, {_fits(rule.of)}, {json.dumps(rule.alone)})"
        case "whole" | "number" | "text":
            return f"{rule.kind}({rule.low}, {rule.high}{', true' if rule.above else ''})"
    raise ValueError(f"no TypeScript for a rule of {rule.kind}")


def _conflict(conflict: Conflict) -> dict[str, object]:
    """Return `Conflict.applies` as a TypeScript function, and its sentence with the names in the form."""
    rows = settings.by_field()
    own = rows[conflict.field]
    default = json.dumps(own.default)
    for method in own.variants:
        if (other := own.of(method).default) != own.default:
            default = f"c.method === {_quoted(method)} ? {json.dumps(other)} : {default}"
    parts = [f"isSet(c.{own.field}, {default})", *([f"!c.{conflict.unless}"] if conflict.unless else [])]
    assert rows[conflict.other].rule.kind != "list", "a list may have its only member without a list"
    value = f"valueOf(c, {_quoted(conflict.other)})"
    if conflict.order:
        sign = "<" if conflict.order == "below" else ">"
        parts.append(f"Number(c.{own.field}) {sign} Number({value})")
    elif conflict.allowed:
        parts.append(f"!oneOf({value}, undefined, {json.dumps(conflict.allowed)[1:-1]})")
    elif conflict.refused:
        parts.append(f"oneOf({value}, {json.dumps(conflict.refused)[1:-1]})")
    else:
        parts.append(f"c.{conflict.other} != null")
    text = conflict.text.format(**{field: row.label for field, row in rows.items()})
    return {"field": own.field, "text": f"{text}.", "arises": _Code(f"(c) => {' && '.join(parts)}")}


def probes() -> str:
    """Return test data for the page's checker: values with whether they are allowed, configs with conflicts.

    ``rules`` has ``[value, allowed]`` by field, ``conflicts`` ``[config, [field, …]]``.
    """
    rules = ",\n".join(f"    {_quoted(row.field)}: {json.dumps(_probed(row))}" for row in settings.SETTINGS)
    configs = ",\n".join(
        f"    {json.dumps([config, [field for field, _ in conflicts(config, str)]])}" for config in _configs()
    )
    return f'{{\n  "rules": {{\n{rules}\n  }},\n  "conflicts": [\n{configs}\n  ]\n}}\n'


def _probed(row: Setting) -> list[list[object]]:
    """Return values at the limits of what is allowed, and of other types."""
    rule = row.rule
    sample = row.sample_value
    values: list[object] = [*PROBES, *rule.choices, sample, ["all-linear"], ["all-linear", "x"], [0, 1]]
    if rule.kind in ("whole", "number", "text", "list"):
        low, high = int(rule.low), int(rule.high)
        values += [low, high, low - 1, high + 1, (rule.low + rule.high) / 2 + 0.25, -low, -high]
    if rule.kind == "text":
        values += ["x" * high, "x" * (high + 1), "\N{GRINNING FACE}" * high]
    if rule.kind == "list":
        values += [[row.sample_value], ["x"] * high, ["x"] * (high + 1), [0] * high]
    return [[value, rule.fits(value)] for value in values]


def _configs() -> Iterator[dict[str, object]]:
    """Return, for each conflict, configs with and without it."""
    rows = settings.by_field()
    for conflict in CONFLICTS:
        one, other = rows[conflict.field], rows[conflict.other]
        values = [*PROBES, *one.rule.choices, one.sample_value]
        set_to = next(value for value in values if one.rule.fits(value) and value != one.default)
        yield {conflict.field: set_to}
        yield {conflict.field: one.default, conflict.other: other.sample_value}
        if conflict.unless:
            yield {conflict.field: set_to, conflict.unless: rows[conflict.unless].sample_value}
            yield {conflict.field: set_to, conflict.unless: rows[conflict.unless].example}
        for beside in (*other.rule.choices, *conflict.allowed, *conflict.refused, other.sample_value):
            yield {conflict.field: set_to, conflict.other: beside}
            yield {conflict.field: set_to, conflict.other: [beside]}


def reference() -> str:
    """Return the Markdown that documents every setting."""
    lines = [
        "# Settings of a trainer",
        "",
        "Made from `arkor_dev/contract/settings/` by `scripts/generate.py`. Not edited by hand.",
        "",
        "Each is set in a `[[trainer]]` of `arkor.toml`, those with a dot in its table (`lora.r`: `r` in",
        "`[trainer.lora]`). A job's `config` has them under the name in the second column. A trainer also",
        'needs `name`, and `dataset`: a path, `{ huggingface = "owner/name" }` or `{ url = "https://…" }`.',
        'A table may say `only = "accepted"` or `only = "all"`, the [judged rows](judging.md).',
        "",
        "A key of transformers, PEFT or TRL has the same meaning here; where our name differs, theirs is",
        "accepted, too.",
        "",
        "The defaults are the local backend's. A job records the values it ran with, so later defaults do",
        "not change them. How the learning rate and the adapted layers were chosen: [Defaults](defaults.md).",
        "",
        "## Example",
        "",
        "```toml",
        *SETTINGS_EXAMPLE.splitlines(),
        "```",
        "",
        "`arkor-dev start support-bot --set lora.r=32` changes one for a single run.",
        "",
        "## During a run",
        "",
        "Edit `arkor.toml` while a job runs on a backend that can adjust it, such as the local one: Home and",
        "the job's page offer to continue with the change. The job is paused after its current step and",
        "continues from there, as if it had had the new settings from its start. Its configuration and the",
        "[provenance](provenance.md) of its results record what changed, and after which step. These can",
        "change:",
        ", ".join(f"`{row.key}`" for row in settings.SETTINGS if row.adjustable) + ".",
        "A running job keeps its model, adapter, data and batches. For other settings, the page offers to",
        "cancel it and run again.",
        "",
        "## All settings",
        "",
        "| key | in a job's config | what it is for | allowed | default | applied by |",
        "|---|---|---|---|---|---|",
    ]
    for row in settings.SETTINGS:
        unit = f" ({row.unit})" if row.unit else ""
        default = row.default_words or ("required" if row.required else f"`{json.dumps(row.default)}`")
        allowed, purpose = row.rule.words + unit, row.help
        for method in row.variants:
            own = row.of(method)
            purpose += f" With {method}: {own.help[0].lower()}{own.help[1:]}"
            allowed += f"; with {method}: {own.rule.words}{unit}"
            default += f"; with {method}: `{json.dumps(own.default)}`"
        keys = " or ".join(f"`{key}`" for key in (row.key, *row.aliases))
        cells = [keys, f"`{row.field}`", purpose, allowed, default, row.where]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def events(source: str) -> str:
    """Return the Markdown that documents every event of a job's stream, with its fields."""
    lines = [
        "# Events of a job",
        "",
        "Made from `arkor_dev/contract/events.py` by `scripts/generate.py`. Not edited by hand.",
        "",
        "Every event has `type` (its name), `jobId` and `timestamp` besides these fields. Those with `?` may",
        "be missing.",
        "",
        "## Example",
        "",
        "A part of [a job's stream](contract.md#event-stream):",
        "",
        "```text",
        *EVENTS_EXAMPLE.splitlines(),
        "```",
        "",
        "`arkor-dev jobs figures latest --format jsonl` prints the figures among them, an object a line.",
    ]
    kinds = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for kind in kinds:
        fields = [item for item in kind.body if isinstance(item, ast.AnnAssign)]
        hints = {ast.unparse(field.target): ast.unparse(field.annotation) for field in fields}
        named = hints.pop("type", "")
        if kind.name == "AnyEvent" or kind.name.startswith("Chat"):
            continue
        title = f"`{ast.literal_eval(named.removeprefix('Literal[')[:-1])}`" if named else f"`{kind.name}`"
        lines += ["", f"## {title}", "", (ast.get_docstring(kind) or "").replace("``", "`")]
        if hints:
            lines += ["", "| field | type |", "|---|---|"]
        for name, hint in hints.items():
            bare = hint.removeprefix("NotRequired[")
            plain, mark = (bare[:-1], "?") if bare != hint else (hint, "")
            lines.append(f"| `{name}{mark}` | `{plain.replace('|', 'or')}` |")
    return "\n".join([*lines, ""])


def contents(nav: list[dict[str, Any]]) -> str:
    """Return ``llms.txt`` (llmstxt.org): each page of the navigation with its first sentence."""
    front, *sections = nav
    ((_, first),) = front.items()
    lines = ["# Arkor Studio for Python", "", f"> {_first_sentences(DOCS / first, 2)}"]
    for section in sections:
        ((title, pages),) = section.items()
        lines += ["", f"## {title}", ""]
        for page in pages if isinstance(pages, list) else [section]:
            ((name, file),) = page.items()
            lines.append(f"- [{name}]({file}): {_first_sentences(DOCS / file, 1)}")
    return "\n".join([*lines, ""])


def _first_sentences(page: Path, count: int) -> str:
    """Return the first sentences of a page's first paragraph, without markup."""
    paragraphs = page.read_text(encoding="utf-8").split("\n\n")
    prose = next(
        each for each in paragraphs[1:] if re.match(r"[\w`*]", each) and "not edited" not in each.lower()
    )
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)|\*\*", r"\1", " ".join(prose.split()))
    sentences = re.split(r"(?<=[.?])\s(?=[A-Z`])|:$", plain)
    return " ".join(sentences[:count]).rstrip(":") + (
        "" if sentences[count - 1].endswith((".", "?")) else "."
    )


def extras(project: dict[str, Any]) -> str:
    """Return the module with what each extra needs, and the core; environment markers are left out."""
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    rows = []
    for name, lines in lists.items():
        quoted = [json.dumps(line.partition(";")[0].strip()) for line in lines]
        if not name.startswith("dev"):
            rows.append(f"    {json.dumps(name)}: ({', '.join(quoted)}{',' * (len(quoted) == 1)}),\n")
    return (
        '"""What each extra needs; "" is the package. Written by scripts/generate.py from pyproject.toml."""'
        "\n\nfrom __future__ import annotations\n\nfrom typing import Final\n\n"
        f"REQUIREMENTS: Final[dict[str, tuple[str, ...]]] = {{\n{''.join(rows)}}}\n"
    )


def export_formats() -> str:
    """Return the module with the names of the export formats."""
    names = "".join(f"    {json.dumps(name)},\n" for name in FORMATS)
    quantized = "".join(f"    {json.dumps(name)},\n" for name, record in FORMATS.items() if record.quantized)
    return (
        '"""The export formats. Written by scripts/generate.py from arkor_dev/local/exports/formats.py."""'
        "\n\nfrom __future__ import annotations\n\nfrom typing import Final, Literal, get_args\n\n"
        f"ExportForm = Literal[\n{names}]\n"
        "EXPORT_FORMATS: Final[tuple[str, ...]] = get_args(ExportForm)\n"
        '"""The first is the default."""\n'
        f"QUANTIZED_FORMATS: Final[tuple[str, ...]] = (\n{quantized})\n"
        '"""Those whose weights have a quantization type."""\n'
    )


def own_fields() -> set[str]:
    """Return the fields of a job's config that its class declares itself."""
    for node in ast.parse(shapes()).body:
        if isinstance(node, ast.ClassDef) and node.name == CONFIG:
            return {ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign)}
    raise ValueError(f"there is no {CONFIG}")


def generated() -> dict[Path, str]:
    """Return every generated file with its content."""
    return {
        TYPES: types(shapes(), page_words()),
        FORM: form(),
        HELP: help_texts(),
        SWEEP: fixed_in_sweeps(),
        REFERENCE: reference(),
        PROBED: probes(),
        EVENTS: events(MODULES[1].read_text(encoding="utf-8")),
        MAN: man_page(),
        SDK / "studio.py": synchronous((SDK / "async_studio.py").read_text(encoding="utf-8")),
        SDK / "training_settings.py": setting_types(),
        ROOT / "arkor_dev/contract/job_settings.py": job_settings(own_fields()),
        EXTRAS: extras(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]),
        EXPORT_FORMATS: export_formats(),
        LLMS: contents(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]),
    }


def main() -> int:
    """Write stale files and name them; with ``--check`` only name them, and exit with 1."""
    stale = {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
    if "--check" in sys.argv[1:]:
        if stale:
            print(f"stale: {names}. Run scripts/generate.py", file=sys.stderr)
        return int(bool(stale))
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    print(f"wrote {names}" if stale else "nothing was stale")
    return 0


if __name__ == "__main__":
    sys.exit(main())
