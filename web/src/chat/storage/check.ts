/** Checks that a stored value is a conversation that the page can show: other programs may have written to the storage. */
import { isObject } from "../../lib/json";
import type { Conversation } from "../model/types";

const isText = (value: unknown): value is string => typeof value === "string";
const isId = (value: unknown): boolean => value === null || isText(value);
const every = (value: unknown, holds: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(holds);

export function isConversation(value: unknown): value is Conversation {
  if (!isObject(value)) return false;
  const { id, created, updated, system, params, targets, columns, turns, leaf } = value;
  return (
    isText(id) &&
    Number.isFinite(created) &&
    Number.isFinite(updated) &&
    isText(system) &&
    isObject(params) &&
    // JSON turns a column without a target into null.
    every(targets, (target) => target === null || isObject(target)) &&
    every(columns, Number.isInteger) &&
    isObject(turns) &&
    Object.values(turns).every(isTurn) &&
    isId(leaf)
  );
}

function isTurn(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { id, parent, user, answers, at } = value;
  return (
    isText(id) &&
    isId(parent) &&
    isText(user) &&
    Number.isFinite(at) &&
    every(answers, (answer) => answer === null || isAnswer(answer))
  );
}

function isAnswer(value: unknown): boolean {
  return (
    isObject(value) &&
    isObject(value.by) &&
    isText(value.name) &&
    isText(value.text) &&
    isText(value.state) &&
    (value.calls === undefined || every(value.calls, isCall)) &&
    (value.engine === undefined || isText(value.engine)) &&
    (value.corrected === undefined || isCorrection(value.corrected)) &&
    (value.rated === undefined || isRating(value.rated))
  );
}

const isCall = (value: unknown): boolean => isObject(value) && isText(value.name) && isText(value.arguments);

const isRating = (value: unknown): boolean =>
  isObject(value) && typeof value.good === "boolean" && isText(value.id);

function isCorrection(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.text) &&
    isText(value.undo) &&
    (value.sameQuestion === undefined || every(value.sameQuestion, Number.isInteger))
  );
}
